import Swarm
import Testing

@testable import Simulation

struct SwarmTests {
    private func figures(_ change: (inout SwarmSettings) -> Void = { _ in }) -> SwarmFigures {
        var settings = SwarmSettings()
        change(&settings)
        return SwarmSimulation(settings: settings, network: SimulatedNetwork.Settings()).run()
    }

    @Test func tenNodesTakeLittleMoreThanOneCopy() {
        let figures = figures()
        #expect(figures.times.count == 10 && figures.unfinished == 0)
        #expect((1...1.2).contains(figures.times.maximum ?? 0))
        #expect(figures.upstreamCopies == 0)
        #expect(figures.messages.maximum ?? 99 <= 40)
    }

    @Test func starSharesUplinkOfHolder() {
        let star = figures {
            $0.policy.places = .star
            $0.policy.overtakes = false
        }
        #expect((9.9...10.3).contains(star.times.maximum ?? 0))
    }

    @Test func coldCrowdFetchesOneCopy() {
        let figures = figures { $0.holders = 0 }
        #expect((1...1.2).contains(figures.times.maximum ?? 0))
        #expect((0.999...1.001).contains(figures.upstreamCopies))
    }

    @Test func crowdGoesOnWhenHolderVanishes() {
        let figures = figures { $0.sourceDies = 2 }
        #expect(figures.unfinished == 0)
        #expect((0.4...0.7).contains(figures.upstreamCopies))
        #expect(figures.longestGap <= 2.1)
    }

    @Test func sameSeedGivesSameFigures() {
        let (first, second) = (figures { $0.spread = 0.5 }, figures { $0.spread = 0.5 })
        #expect(first.times.sum == second.times.sum)
        #expect(first.messages.sum == second.messages.sum)
    }
}
