import Mirroring
import NIOCore

/// What answers a request: an object that the ``Exchange`` owns while it runs.
///
/// All calls come on the event loop of the client's connection. After ``stop()`` there are none, and whatever the
/// answer has set going finds that it has ended.
protocol Answer: AnyObject {
    /// How often the connection looks whether the answer makes progress.
    var progressInterval: TimeAmount { get }
    /// The bytes of the body that have reached the client past its channel and that the exchange has not counted.
    var bytesPastChannel: Int64 { get }
    /// The address of the registry that the content comes from, where that is another node's.
    var source: PeerAddress? { get }

    /// Begins.
    func start()
    /// The client takes bytes again, or does so no more.
    func clientTakesBytes(_ takes: Bool)
    /// The client's connection is closed.
    ///
    /// - Returns: whether the answer goes on until it knows how much has reached the client, and then calls
    ///   ``Exchange/end(_:)``. If not, ``stop()`` follows.
    func clientClosed() -> Bool
    /// Nothing has left for some time.
    ///
    /// - Parameters:
    ///   - idle: for how long.
    ///   - bufferedBytes: how many bytes wait in the channel.
    /// - Returns: whether the answer has dealt with it.
    func madeNoProgress(for idle: TimeAmount, bufferedBytes: Int64) -> Bool
    /// Ends for good: the exchange is over, or another answer takes its place.
    func stop()
}

extension Answer {
    var progressInterval: TimeAmount { .seconds(1) }
    var bytesPastChannel: Int64 { 0 }
    var source: PeerAddress? { nil }
    func clientTakesBytes(_ takes: Bool) {}
    func clientClosed() -> Bool { false }
    func madeNoProgress(for idle: TimeAmount, bufferedBytes: Int64) -> Bool { false }
}
