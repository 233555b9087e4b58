import NIOCore
import Routing

extension MirrorTransfer {
    /// A peer that may be asked, and at which of its addresses.
    struct Candidate {
        var provider: Provider
        var standing: PeerTrust.Standing
        var addressIndex = 0
        /// Whether it has answered before, be it that it is busy.
        var hasAnswered = false
        /// The round of ``Tries`` in which it was asked last; 0 before.
        var round = 0
        var address: SocketAddress? { provider.addresses.dropFirst(addressIndex).first }
    }

    /// The peers that were found, and who of them is to be asked next.
    struct Candidates {
        /// How many providers are kept, suspects not among them, and how many suspects.
        let limit: Int
        private let suspectLimit: Int
        private var seenPeers: [String] = []
        /// How many of them are no suspects: only those count towards the limit.
        private(set) var seenUsable = 0
        /// Those that can be asked now, the best first.
        private var waiting: [Candidate] = []
        /// Those that were busy or slow, and when they may be asked again.
        private var resting: [(candidate: Candidate, until: NIODeadline)] = []

        init(limit: Int, suspectLimit: Int) {
            self.limit = limit
            self.suspectLimit = suspectLimit
        }

        /// Whether any more are of use.
        var areWanted: Bool { seenUsable < limit }

        /// How many were found.
        var seen: Int { seenPeers.count }

        /// Whether nobody is left that was busy or slow.
        var isNobodyResting: Bool { resting.isEmpty }

        /// When the first of those that were busy or slow may be asked again.
        func restEnds(ofSuspects: Bool) -> NIODeadline? {
            var earliest: NIODeadline?
            for (candidate, until) in resting where ofSuspects || candidate.standing < .suspect {
                earliest = earliest.map { min($0, until) } ?? until
            }
            return earliest
        }

        /// Adds a provider that was found.
        ///
        /// - Returns: whether it is new, and of use.
        mutating func add(_ provider: Provider, _ standing: PeerTrust.Standing) -> Bool {
            guard areWanted, standing < .barred else { return false }
            guard !provider.addresses.isEmpty, !seenPeers.contains(provider.peerID) else { return false }
            if standing == .suspect {
                guard seenPeers.count - seenUsable < suspectLimit else { return false }
            } else {
                seenUsable += 1
            }
            seenPeers.append(provider.peerID)
            enqueue(Candidate(provider: provider, standing: standing))
            return true
        }

        /// Puts a candidate behind those that are trusted as much or more.
        mutating func enqueue(_ candidate: Candidate) {
            let place = waiting.firstIndex { $0.standing > candidate.standing } ?? waiting.endIndex
            waiting.insert(candidate, at: place)
        }

        /// Has a candidate be asked before all others.
        mutating func putFirst(_ candidate: Candidate) {
            waiting.insert(candidate, at: 0)
        }

        /// Leaves one that was busy or slow alone for a while.
        mutating func rest(_ candidate: Candidate, until: NIODeadline) {
            resting.append((candidate, until))
        }

        /// The place of the best of those that can be asked now and meet a condition.
        func firstIndex(where condition: (Candidate) -> Bool) -> Int? {
            waiting.firstIndex(where: condition)
        }

        /// Takes whoever is at that place.
        mutating func take(at index: Int) -> Candidate {
            waiting.remove(at: index)
        }

        /// Takes somebody who was busy or slow and may be asked again.
        mutating func takeRested(suspects: Bool, now: NIODeadline) -> Candidate? {
            let index = resting.firstIndex { $0.until <= now && (suspects || $0.candidate.standing < .suspect) }
            return index.map { resting.remove(at: $0).candidate }
        }

        mutating func removeAll() {
            waiting.removeAll()
            resting.removeAll()
        }
    }
}
