import NIOCore
import OCI
import Routing

extension MirrorTransfer {
    /// One request to a peer, and how far its answer has come.
    struct Attempt {
        enum Phase {
            /// This node itself fetches as much as it may: the attempt waits for its turn.
            case queued
            case connecting
            case waitingForHead(reused: Bool)
            case receiving(MirroredContent, skip: Int64)
            /// The rest of the body goes to the client without being seen here; whoever moves it watches its progress.
            case spliced(MirroredContent)
            /// All of the body has come; the driver checks its digest.
            case checking(MirroredContent)
        }

        let id: AttemptID
        var candidate: Candidate
        var address: SocketAddress
        var asked: PeerResponseHead.Asked
        /// Whether the peer has less time to answer.
        var isHurried = false
        var mustBeChecked: Bool
        let begun: NIODeadline
        var phase = Phase.connecting
        /// `nil` while the client takes nothing.
        var deadline: NIODeadline?
        /// When another peer is asked beside this one, unless a byte of the body has come.
        var hedgeAt: NIODeadline
        var peerID: String { candidate.provider.peerID }

        /// Whether the rest of the body goes to the client without being seen here.
        var isSpliced: Bool {
            if case .spliced = phase { true } else { false }
        }

        /// The peer at the next of its addresses, of which so many are tried, if it was only tried to connect to this one.
        func nextAddress(of limit: Int) -> Candidate? {
            guard case .connecting = phase else { return nil }
            var other = candidate
            other.addressIndex += 1
            return other.addressIndex < limit && other.address != nil ? other : nil
        }

        /// Whether a failure in this phase says nothing of the content: the peer could not be reached, or gave no answer.
        func isUnanswered(_ failure: Failure) -> Bool {
            switch (phase, failure) {
            case (.connecting, .cannotConnect), (.connecting, .connectTimeout), (.connecting, .closed): true
            case (.waitingForHead, .closed), (.waitingForHead, .headTimeout): true
            default: false
            }
        }
    }

    /// The attempts under way.
    struct Attempts {
        /// How many there are at a time at most.
        static let maximum = 4
        /// The earlier first; one only once a body has begun to come.
        var running: [Attempt] = []
        /// The attempt whose body goes to the client.
        private(set) var winner: AttemptID?
        private var lastID = 0

        var isEmpty: Bool { running.isEmpty }

        /// When the first of them has failed, unless something happens.
        var deadline: NIODeadline? {
            var earliest: NIODeadline?
            for case let deadline? in running.lazy.map(\.deadline) {
                earliest = earliest.map { min($0, deadline) } ?? deadline
            }
            return earliest
        }

        /// When another peer is to be asked beside those that are slow to send.
        var hedgeAt: NIODeadline? {
            winner == nil && running.count < Self.maximum ? running.last?.hedgeAt : nil
        }

        /// Has another peer be asked in the place of one that has failed.
        mutating func replace(now: NIODeadline) {
            guard let last = running.indices.last else { return }
            running[last].hedgeAt = min(running[last].hedgeAt, now)
        }

        func index(of id: AttemptID) -> Int? {
            running.firstIndex { $0.id == id }
        }

        mutating func nextID() -> AttemptID {
            lastID += 1
            return lastID
        }

        /// Makes an attempt the one whose body goes to the client.
        ///
        /// - Returns: the others, which have ended.
        mutating func choose(_ chosen: Attempt) -> [Attempt] {
            winner = chosen.id
            let losers = running.filter { $0.id != chosen.id }
            running = [chosen]
            return losers
        }

        /// Ends an attempt.
        ///
        /// - Returns: it, and whether its body went to the client.
        mutating func remove(at index: Int) -> (attempt: Attempt, wasWinner: Bool) {
            let attempt = running.remove(at: index)
            let wasWinner = winner == attempt.id
            if wasWinner { winner = nil }
            return (attempt, wasWinner)
        }
    }
}
