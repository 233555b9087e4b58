import NIOCore
import OCI
import Routing
import TestSupport
import Testing

@testable import Registry

/// Whatever peers do and whenever, the client gets all bytes in order, or a prefix and a clean end, or 404 when no byte
/// was ever sent; and there is an end.
struct MirrorTransferPropertyTests {
    @Test(arguments: 0..<64)
    func theClientIsNeverToldSomethingWrong(batch: Int) throws {
        for number in 0..<100 {
            let seed = UInt64(batch * 1000 + number)
            var world = World(seed: seed)
            let verdict = try world.run()
            #expect(verdict == nil, "seed \(seed): \(verdict ?? "")")
        }
    }
}

/// Peers that behave at random, and a client that notes down what it gets.
private struct World {
    private var random: SeededGenerator
    private var now = NIODeadline.uptimeNanoseconds(1_000_000_000)
    private let size: Int64
    private var transfer: MirrorTransfer
    private var providers: [Provider] = []
    private var lookupIsRunning = true

    /// The open attempt: what it was asked, whether its head was sent, which bytes it sends next.
    private var open: (request: MirrorTransfer.PeerRequest, hasHead: Bool, next: Int64, end: Int64)?
    private var isConnected = false

    private var promised: MirroredContent?
    private var received: Int64 = 0
    private var ending: MirrorTransfer.Action?
    private var someoneSentBytes = false
    private var asks = 0

    init(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        size = Int64.random(in: 0...5000, using: &random)
        var range: ByteRange?
        switch Int.random(in: 0..<4, using: &random) {
        case 0 where size > 0: range = .from(Int64.random(in: 0..<size, using: &random))
        case 1 where size > 0: range = .suffix(Int64.random(in: 1...size, using: &random))
        default: break
        }
        let digest = Digest(algorithm: .sha256, bytes: [UInt8](repeating: 1, count: 32))
        let request = MirrorTransfer.Request(isHead: false, kind: .blob, digest: digest, range: range)
        transfer = MirrorTransfer(request, limits: MirrorTransfer.Limits(), now: now)
        self.random = random
    }

    /// - Returns: what went wrong.
    mutating func run() throws -> String? {
        for number in 0..<Int.random(in: 0...4, using: &random) {
            let addresses = try (0..<Int.random(in: 1...2, using: &random)).map {
                try SocketAddress(ipAddress: "192.0.2.\(number)", port: 5000 + $0)
            }
            providers.append(Provider(peerID: "\(number)", addresses: addresses))
        }
        for _ in 0..<2000 {
            if ending != nil { return check() }
            now = now + .milliseconds(Int64.random(in: 0...30, using: &random))
            if let problem = step() { return problem }
        }
        return "there is no end"
    }

    private mutating func step() -> String? {
        switch Int.random(in: 0..<10, using: &random) {
        case 0, 1:
            guard lookupIsRunning else { break }
            if providers.isEmpty {
                lookupIsRunning = false
                return perform(transfer.lookupEnded(now: now))
            }
            return perform(transfer.found(providers.removeFirst(), now: now))
        case 9 where Bool.random(using: &random): transfer.lookupStarted(now: now)
        case 2:
            if transfer.deadline == nil { return "nothing bounds the wait" }
            now = max(now, transfer.deadline ?? now)
            return perform(transfer.timePassed(now: now))
        case 3:
            if let open, Int.random(in: 0..<3, using: &random) == 0 {
                self.open = nil
                return perform(transfer.failed(open.request.attempt, .closed("at random"), now: now))
            }
        default: return peerStep()
        }
        return perform(transfer.timePassed(now: now))
    }

    private mutating func peerStep() -> String? {
        guard let open else { return nil }
        let attempt = open.request.attempt
        guard isConnected else {
            if Bool.random(using: &random) {
                isConnected = true
                transfer.connected(attempt, reused: open.request.mayReuse && Bool.random(using: &random), now: now)
                return nil
            }
            self.open = nil
            return perform(transfer.failed(attempt, .cannotConnect("refused"), now: now))
        }
        guard open.hasHead else { return perform(transfer.received(makeHead(), of: attempt, now: now)) }
        guard open.next < open.end else { return perform(transfer.ended(attempt, now: now)) }
        let count = Int.random(in: 1...Int(open.end - open.next), using: &random)
        self.open?.next += Int64(count)
        someoneSentBytes = true
        switch transfer.received(bytes: count, of: attempt, now: now) {
        case .drop: return nil
        case .fail(let actions): return perform(actions)
        case .forward(let head, let dropped):
            if let head {
                if promised != nil { return "two heads" }
                promised = head
            }
            guard let promised else { return "bytes before the head" }
            let first = open.next + Int64(dropped)
            if first != promised.range.lowerBound + received { return "byte \(first) came after \(received)" }
            received += Int64(count - dropped)
            return received > promised.range.upperBound - promised.range.lowerBound ? "too many bytes" : nil
        }
    }

    /// An honest head most of the time, else a wrong one.
    private mutating func makeHead() -> PeerResponseHead {
        guard let request = open?.request else { return PeerResponseHead(status: 500) }
        var part: Range<Int64> = 0..<size
        var status = 206
        switch request.asked {
        case .whole: status = 200
        case .range(let range): part = range.resolved(size: size) ?? 0..<0
        case .rest(let content, let offset):
            if Bool.random(using: &random) { status = 200 } else { part = offset..<content.range.upperBound }
        }
        var head = PeerResponseHead(
            status: status,
            contentLength: part.upperBound - part.lowerBound,
            contentType: "application/octet-stream",
            contentRange: status == 206 ? ByteRange.contentRange(part, size: size) : nil
        )
        switch Int.random(in: 0..<12, using: &random) {
        case 0: head.status = 404
        case 1: head.status = 500
        case 2: head.contentLength = Int64.random(in: 0...6000, using: &random)
        case 3: head.contentRange = "bytes 0-1/7"
        case 4: head.digest = "sha256:0"
        case 5: head.contentLength = nil
        default: break
        }
        open?.hasHead = true
        open?.next = part.lowerBound
        open?.end = part.lowerBound + (head.contentLength ?? 0)
        return head
    }

    private mutating func perform(_ actions: [MirrorTransfer.Action]) -> String? {
        for action in actions {
            if ending != nil { return "\(action) after the end" }
            switch action {
            case .ask(let request):
                asks += 1
                if open != nil { return "two attempts at a time" }
                if asks > 3 * 2 * 2 { return "too many attempts" }
                open = (request, false, 0, 0)
                isConnected = false
            case .cancel(let attempt), .release(let attempt):
                if open?.request.attempt == attempt { open = nil }
            case .cancelLookup: lookupIsRunning = false
            case .sendHead(let content):
                if promised != nil { return "two heads" }
                promised = content
            case .finish, .cutShort, .notFound, .rangeNotSatisfiable: ending = action
            }
        }
        return nil
    }

    private func check() -> String? {
        if open != nil { return "a connection is left" }
        if lookupIsRunning { return "the lookup is left" }
        switch ending {
        case .finish:
            guard let promised else { return "an end without a head" }
            return received == promised.range.upperBound - promised.range.lowerBound ? nil : "bytes are missing"
        case .cutShort:
            guard let promised, received > 0 else { return "cut short before the first byte" }
            return received < promised.range.upperBound - promised.range.lowerBound ? nil : "cut short after the end"
        case .notFound: return promised == nil ? nil : "404 after a head"
        default: return "416 though the range is in the content"
        }
    }
}
