import NIOCore
import NIOHTTP1

/// What answers the requests of one connection. All calls come on its event loop.
protocol Responder: AnyObject {
    /// The client has connected.
    func connected(_ channel: any Channel)
    /// Answers a request, at once or by handing it over to an ``Answer``.
    func respond(to head: HTTPRequestHead, _ fields: RequestFields, in exchange: Exchange)
}
