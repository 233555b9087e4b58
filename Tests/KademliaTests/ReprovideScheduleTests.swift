import TestSupport
import Testing

@testable import Kademlia

@Suite struct ReprovideScheduleTests {
    @Test func aNewKeyIsDueAtOnceAndThenOnceAnInterval() {
        var schedule = ReprovideSchedule(interval: .seconds(540))
        let key = Key("a")
        #expect(schedule.add(key, now: .seconds(1)) == true)
        #expect(schedule.add(key, now: .seconds(1)) == false)
        #expect(schedule.hasDue(now: .seconds(1)))
        #expect(schedule.takeDue(now: .seconds(1), limit: 10) == [key])
        // It is in hand.
        #expect(schedule.takeDue(now: .seconds(5000), limit: 10) == [])
        #expect(schedule.keysNotDue(now: .seconds(1)) == [key])
        schedule.advertised(key, now: .seconds(2))
        #expect(!schedule.hasDue(now: .seconds(541)))
        #expect(schedule.takeDue(now: .seconds(541), limit: 10) == [])
        #expect(schedule.takeDue(now: .seconds(542), limit: 10) == [key])
        schedule.postpone(key, until: .seconds(550))
        #expect(schedule.takeDue(now: .seconds(549), limit: 10) == [])
        #expect(schedule.takeDue(now: .seconds(550), limit: 10) == [key])
    }

    @Test func aRemovedKeyIsNeverDue() {
        var schedule = ReprovideSchedule(interval: .seconds(10))
        let keys = (0..<5).map { Key("\($0)") }
        for key in keys { schedule.add(key, now: .zero) }
        #expect(schedule.remove(keys[0]) == true)
        #expect(schedule.remove(keys[0]) == false)
        let taken = schedule.takeDue(now: .zero, limit: 10)
        #expect(Set(taken) == Set(keys.dropFirst()))
        schedule.remove(keys[1])
        for key in taken { schedule.advertised(key, now: .zero) }
        #expect(Set(schedule.takeDue(now: .seconds(10), limit: 10)) == Set(keys.dropFirst(2)))
        #expect(schedule.count == 3)
    }

    @Test func aKeyThatWasRemovedAndAddedIsGivenOnce() {
        var schedule = ReprovideSchedule(interval: .seconds(10))
        let key = Key("a")
        schedule.add(key, now: .zero)
        schedule.add(Key("b"), now: .zero)
        schedule.remove(key)
        schedule.add(key, now: .zero)
        #expect(schedule.takeDue(now: .zero, limit: 10).count == 2)
    }

    @Test func dueKeysAreSortedByPosition() {
        var schedule = ReprovideSchedule()
        for number in 0..<500 { schedule.add(Key("\(number)"), now: .zero) }
        var seen = 0
        while true {
            let keys = schedule.takeDue(now: .zero, limit: 64)
            guard !keys.isEmpty else { break }
            seen += keys.count
            #expect(keys.map(\.position) == keys.map(\.position).sorted())
        }
        #expect(seen == 500)
    }

    @Test func allCanBeMadeDue() {
        var schedule = ReprovideSchedule()
        for number in 0..<100 { schedule.add(Key("\(number)"), now: .zero) }
        for key in schedule.takeDue(now: .zero, limit: 90) { schedule.advertised(key, now: .zero) }
        schedule.makeAllDue(now: .seconds(1))
        #expect(schedule.takeDue(now: .seconds(1), limit: 1000).count == 100)
        #expect(schedule.takeDue(now: .seconds(1), limit: 1000).isEmpty)
    }

    /// Every key is handed out once an interval, whatever else happens in between.
    @Test func behavesAsItsModel() {
        var generator = SeededGenerator()
        var schedule = ReprovideSchedule(interval: .seconds(100))
        var model: [Key: Int] = [:]
        for now in 0..<5000 {
            let key = Key("\(Int.random(in: 0..<200, using: &generator))")
            switch Int.random(in: 0..<3, using: &generator) {
            case 0:
                if schedule.add(key, now: .seconds(now)) { model[key] = now }
            case 1:
                #expect(schedule.remove(key) == (model.removeValue(forKey: key) != nil), "seed \(generator.seed)")
            default:
                let due = schedule.takeDue(now: .seconds(now), limit: 1000)
                #expect(Set(due) == Set(model.filter { $0.value <= now }.keys), "seed \(generator.seed), step \(now)")
                for key in due {
                    schedule.advertised(key, now: .seconds(now))
                    model[key] = now + 100
                }
            }
            #expect(schedule.count == model.count, "seed \(generator.seed)")
        }
    }
}
