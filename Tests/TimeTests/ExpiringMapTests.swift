import TestSupport
import Testing

@testable import Time

@Suite(.timeLimit(.minutes(1))) struct ExpiringMapTests {
    private let start = MonotonicTime(nanoseconds: 5)

    @Test func entriesEndAfterTheirLifetime() {
        var map = ExpiringMap<String, Int>(limit: 10)
        map.insert(1, for: "a", lifetime: .seconds(10), now: start)
        map.insert(2, for: "b", lifetime: .seconds(5), now: start)
        #expect(map.value(of: "a", now: start) == 1 && map.contains("b", now: start))
        let later = start + .seconds(5)
        #expect(map.value(of: "b", now: later) == nil && !map.contains("b", now: later))
        // A new lifetime takes the place of the old one, be it longer or shorter.
        map.insert(3, for: "a", lifetime: .seconds(1), now: start)
        #expect(map.value(of: "a", now: start + .seconds(1)) == nil)
        map.insert(4, for: "a", lifetime: .seconds(20), now: start)
        #expect(map.value(of: "a", now: start + .seconds(19)) == 4)
        // A lifetime that is over at once removes what was there.
        map.insert(5, for: "a", lifetime: .zero, now: start)
        #expect(map.value(of: "a", now: start) == nil && map.count == 1)
    }

    @Test func updateKeepsTheEnd() {
        var map = ExpiringMap<String, Int>(limit: 10)
        map.insert(1, for: "a", lifetime: .seconds(10), now: start)
        map.update("a", to: 2, now: start + .seconds(9))
        #expect(map.value(of: "a", now: start + .seconds(9)) == 2)
        #expect(map.value(of: "a", now: start + .seconds(10)) == nil)
        map.update("a", to: 3, now: start + .seconds(10))
        map.update("b", to: 3, now: start)
        #expect(map.value(of: "a", now: start) == 2 && map.count == 1)
    }

    @Test func removeReturnsTheValue() {
        var map = ExpiringMap<String, Int>(limit: 10)
        map.insert(1, for: "a", lifetime: .seconds(10), now: start)
        let removed = [map.remove("a"), map.remove("a")]
        #expect(removed == [1, nil] && map.isEmpty)
    }

    @Test func fullMapForgetsWhatEndsFirst() {
        var set = ExpiringSet<Int>(limit: 10)
        for number in 0...10 { set.insert(number, lifetime: .seconds(Int64(number + 1)), now: start) }
        #expect(set.count == 10 && !set.contains(0, now: start) && set.contains(10, now: start))
        // Those that have ended make room first.
        set.insert(11, lifetime: .seconds(55), now: start + .seconds(6))
        #expect(set.count == 6)
    }

    @Test func oneLifetimeForAll() {
        var set = ExpiringSet<Int>(limit: 3)
        func time(_ seconds: Int64) -> MonotonicTime { start + .seconds(seconds) }
        for number in 1...4 { set.insert(number, lifetime: .seconds(10), now: time(Int64(number))) }
        #expect(!set.contains(1, now: time(4)))
        #expect(set.contains(2, now: time(11)))
        #expect(!set.contains(2, now: time(12)))
        set.insert(2, lifetime: .seconds(10), now: time(8))
        #expect(set.contains(2, now: time(17)))
        let removed = [set.remove(2) != nil, set.remove(2) != nil]
        #expect(removed == [true, false])
        #expect(!set.contains(2, now: time(8)))
        // The same one over and over takes no room.
        for number in 0..<10_000 {
            set.insert(7, lifetime: .seconds(10), now: time(20 + Int64(number) / 5000))
        }
        #expect(set.count == 1)
        #expect(set.contains(7, now: time(30)))
        set.insert(8, lifetime: .seconds(10), now: time(1000))
        #expect(set.count == 1)
    }

    @Test func timesAtTheBoundsOfTheirRangeAreHarmless() {
        var set = ExpiringSet<Int>(limit: 0)
        let last = MonotonicTime(nanoseconds: .max)
        set.insert(1, lifetime: .seconds(Int64.max), now: start)
        #expect(set.limit == 1 && set.contains(1, now: MonotonicTime(nanoseconds: .max - 1)))
        set.insert(2, lifetime: .seconds(Int64.max), now: last)
        set.insert(3, lifetime: .seconds(Int64.min), now: MonotonicTime(nanoseconds: .min))
        #expect(set.isEmpty && set.checkInvariants())
    }

    /// Beside a model that looks through all entries each time.
    @Test(arguments: 0..<8) func agreesWithANaiveModel(batch: Int) {
        let seed = UInt64.random(in: .min ... .max)
        var random = SeededGenerator(seed: seed)
        for _ in 0..<8 {
            let limit = Int.random(in: 1...60, using: &random)
            let isFixed = Bool.random(using: &random)
            var map = ExpiringMap<Int, Int>(limit: limit)
            var model: [Int: (value: Int, end: MonotonicTime)] = [:]
            var now = start
            for step in 0..<300 {
                now = now + .nanoseconds(Int64.random(in: 0...3, using: &random))
                let key = Int.random(in: 0..<80, using: &random)
                switch Int.random(in: 0..<10, using: &random) {
                case 0:
                    let removed = map.remove(key)
                    #expect(removed == model.removeValue(forKey: key)?.value, "seed \(seed)")
                case 1:
                    map.update(key, to: step, now: now)
                    if let known = model[key], known.end > now { model[key]?.value = step }
                default:
                    let lifetime = isFixed ? 100 : Int64.random(in: -5...300, using: &random)
                    map.insert(step, for: key, lifetime: .nanoseconds(lifetime), now: now)
                    model = model.filter { $0.value.end > now }
                    if lifetime <= 0 {
                        model[key] = nil
                    } else {
                        if model.count >= limit, model[key] == nil, let first = model.values.map(\.end).min() {
                            // Of those that end at the same time any may go.
                            let gone = model.keys.filter { !map.contains($0, now: now) }
                            #expect(gone.map { model[$0]?.end } == [first], "seed \(seed)")
                            for key in gone { model[key] = nil }
                        }
                        model[key] = (step, now + .nanoseconds(lifetime))
                    }
                }
                #expect(map.checkInvariants(), "seed \(seed)")
                #expect(map.count == model.count && Set(map.keys) == Set(model.keys), "seed \(seed)")
                let isRight = model.allSatisfy { key, entry in
                    let expected = entry.end > now ? entry.value : nil
                    return map.value(of: key, now: now) == expected && map.contains(key, now: now) == (expected != nil)
                }
                #expect(isRight, "seed \(seed)")
            }
        }
    }

    /// A scan of all entries for each insertion would take longer than the time limit of the tests.
    @Test(arguments: [true, false]) func floodAtTheLimitIsCheap(isFixed: Bool) {
        var random = SeededGenerator(seed: 1)
        let limit = 50_000
        var set = ExpiringSet<Int>(limit: limit)
        for number in 0..<3 * limit {
            let lifetime = isFixed ? 3600 : Int64.random(in: 3600...7200, using: &random)
            set.insert(number, lifetime: .seconds(lifetime), now: start + .nanoseconds(Int64(number)))
        }
        #expect(set.count == limit && set.checkInvariants())
        // All end at once.
        set.insert(-1, lifetime: .seconds(1), now: start + .seconds(8000))
        #expect(set.count == 1 && set.checkInvariants())
    }
}
