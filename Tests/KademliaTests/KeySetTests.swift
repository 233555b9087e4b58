import TestSupport
import Testing
import Time

@testable import Kademlia

@Suite struct KeySetTests {
    @Test func matchesModelAtRandom() {
        var generator = SeededGenerator()
        let all = (0..<300).map { Key("\($0)") }
        var set = KeySet()
        var model: Set<Key> = []
        for _ in 0..<2000 {
            let some = (0..<[0, 1, 1, 3, 40].randomElement(using: &generator)!).map { _ in
                all.randomElement(using: &generator)!
            }
            if Bool.random(using: &generator) {
                #expect(Set(set.insert(some)) == Set(some).subtracting(model), "seed \(generator.seed)")
                model.formUnion(some)
            } else {
                #expect(Set(set.remove(some)) == model.intersection(some), "seed \(generator.seed)")
                model.subtract(some)
            }
            #expect(set.keys == model.sorted { $0.position < $1.position }, "seed \(generator.seed)")
            let key = all.randomElement(using: &generator)!
            #expect(set.contains(key) == model.contains(key), "seed \(generator.seed)")
            let region = KeyRegion(around: key.position, prefixLength: .random(in: 0...8, using: &generator))
            let expected = set.keys.filter {
                $0.position.commonPrefixLength(with: key.position) >= region.prefixLength
            }
            #expect(Array(set.keys[set.range(of: region)]) == expected, "seed \(generator.seed)")
        }
    }

    @Test func regionContainsPositionsWithItsPrefix() {
        var generator = SeededGenerator()
        for length in 0...256 {
            let position = KeySpacePosition(hashing: generator.bytes(8))
            let region = KeyRegion(around: position, prefixLength: length)
            #expect(region.contains(position))
            #expect(region.first.commonPrefixLength(with: region.last) == length)
            #expect(region.first.commonPrefixLength(with: position) >= length)
            #expect(region.last.commonPrefixLength(with: position) >= length)
            if length > 0 {
                // The neighbour that differs in the last bit of the prefix is outside.
                let mask = KeySpaceWords(ones: length) & ~KeySpaceWords(ones: length - 1)
                #expect(!region.contains(KeySpacePosition(words: position.words ^ mask)))
            }
        }
    }

    /// Each key is due once per interval, at its own time, and the load is spread. This also holds when all keys are in
    /// one part of the key space, as a single one is.
    @Test(arguments: 0..<40) func sweepTakesSingleKeyOncePerInterval(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let key = Key("\(seed)")
        var own = KeySet()
        own.insert([key])
        var advertising = Advertising(interval: .seconds(540), phase: generator.next(), now: .zero)
        var times: [Int] = []
        var now = 0
        while now < 10 * 540 {
            advertising.sweep(own, now: .seconds(now))
            let everything = KeyRegion(around: key.position, prefixLength: 0)
            if !advertising.take(.announce, of: everything, limit: 10).isEmpty { times.append(now) }
            now += Int.random(in: 1...100, using: &generator)
        }
        #expect((9...11).contains(times.count), "seed \(seed)")
        for (earlier, later) in zip(times, times.dropFirst()) {
            #expect((440...640).contains(later - earlier), "seed \(seed): \(times)")
        }
        // After a long pause it is due once. The sweep does not catch up.
        advertising.sweep(own, now: .seconds(100_000))
        #expect((advertising.nextDeadline(own: own) ?? .zero) > .seconds(100_000), "seed \(seed)")
    }

    @Test func sweepTakesEachKeyOncePerInterval() {
        var generator = SeededGenerator()
        var own = KeySet()
        own.insert((0..<500).map { Key("\($0)") })
        var advertising = Advertising(interval: .seconds(540), phase: generator.next(), now: .zero)
        var times: [Key: [Int]] = [:]
        var most = 0
        for second in 0..<(5 * 540) {
            advertising.sweep(own, now: .seconds(second))
            let taken = advertising.take(
                .announce,
                of: KeyRegion(around: own.keys[0].position, prefixLength: 0),
                limit: 1000
            )
            for key in taken { times[key, default: []].append(second) }
            most = max(most, taken.count)
            if second == 1000 {
                own.remove([Key("7")])
                own.insert([Key("new")])
            }
        }
        for key in own.keys where key != Key("new") {
            let gaps = zip(times[key] ?? [], (times[key] ?? []).dropFirst()).map { $1 - $0 }
            #expect(times[key]?.count == 5, "seed \(generator.seed)")
            #expect(gaps.allSatisfy { (530...550).contains($0) }, "seed \(generator.seed): \(gaps)")
        }
        #expect((times[Key("7")] ?? []).allSatisfy { $0 <= 1000 })
        #expect((times[Key("new")]?.count ?? 0) >= 3)
        #expect(most < 40, "seed \(generator.seed)")
        // After a long pause each key is due once.
        advertising.sweep(own, now: .seconds(1_000_000))
        #expect(advertising.announce.count == 500)
    }
}
