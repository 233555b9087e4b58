import Multiformats
import Testing
import Time

@testable import LibP2P

@Suite struct DialRaceTests {
    private func addresses(_ texts: String...) throws -> [Multiaddr] {
        try texts.map { try Multiaddr($0) }
    }

    @Test func alternatesFamiliesFromIPv6() throws {
        let given = try addresses(
            "/ip4/192.0.2.1/tcp/1",
            "/ip4/192.0.2.2/tcp/1",
            "/dns4/a.test/tcp/1",
            "/ip4/192.0.2.3/tcp/1",
            "/ip6/2001:db8::1/tcp/1",
            "/ip6/2001:db8::2/tcp/1"
        )
        #expect(
            DialRace.interleaved(given).map(\.description) == [
                "/ip6/2001:db8::1/tcp/1", "/ip4/192.0.2.1/tcp/1", "/dns4/a.test/tcp/1",
                "/ip6/2001:db8::2/tcp/1", "/ip4/192.0.2.2/tcp/1", "/ip4/192.0.2.3/tcp/1",
            ]
        )
        #expect(DialRace.interleaved([]).isEmpty)
    }

    @Test func nextAddressWaitsForStagger() throws {
        let all = try addresses("/ip4/192.0.2.1/tcp/1", "/ip4/192.0.2.2/tcp/1", "/ip4/192.0.2.3/tcp/1")
        var race = DialRace(all)
        #expect(race.start() == [.dial(all[0]), .wait(1)])
        #expect(race.waited(1) == [.dial(all[1]), .wait(2)])
        #expect(race.waited(2) == [.dial(all[2])])
        #expect(race.failed(all[0], reason: "a") == [])
        #expect(race.failed(all[2], reason: "c") == [])
        #expect(race.failed(all[1], reason: "b") == [.giveUp])
        #expect(race.failures.map(\.reason) == ["a", "c", "b"])
    }

    @Test func failureStartsNextAddressAtOnce() throws {
        let all = try addresses("/ip4/192.0.2.1/tcp/1", "/ip4/192.0.2.2/tcp/1", "/ip4/192.0.2.3/tcp/1")
        var race = DialRace(all)
        _ = race.start()
        #expect(race.failed(all[0], reason: "") == [.dial(all[1]), .wait(2)])
        // The wait that the failure has overtaken starts nothing.
        #expect(race.waited(1) == [])
        #expect(race.waited(2) == [.dial(all[2])])
    }

    @Test func givesUpWithoutAddresses() {
        var race = DialRace([])
        #expect(race.start() == [.giveUp])
    }
}

@Suite struct DialBackoffTests {
    private let start = MonotonicTime.zero

    @Test func backoffDoublesUpToMaximum() throws {
        let address = try Multiaddr("/ip4/192.0.2.1/tcp/1")
        var backoff = DialBackoff()
        #expect(backoff.wait(for: address, now: start) == nil)
        var waits: [Duration] = []
        for _ in 0..<10 {
            backoff.failed(address, now: start, jitter: 0.5)
            waits.append(try #require(backoff.wait(for: address, now: start)))
        }
        let expected = [250, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000]
        #expect(waits == expected.map { .milliseconds($0) })
        #expect(backoff.wait(for: address, now: start + .seconds(30)) == nil)
        // The failures in a row count for a while.
        let later = start + .seconds(600)
        backoff.failed(address, now: later, jitter: 0.5)
        #expect(backoff.wait(for: address, now: later) == .seconds(30))
        backoff.failed(address, now: later + .seconds(631), jitter: 0.5)
        #expect(backoff.wait(for: address, now: later + .seconds(631)) == .milliseconds(250))
        backoff.succeeded(address)
        backoff.failed(address, now: start, jitter: 0.5)
        #expect(backoff.wait(for: address, now: start) == .milliseconds(250))
    }

    @Test func backoffHasJitter() throws {
        let address = try Multiaddr("/ip4/192.0.2.1/tcp/1")
        for (jitter, milliseconds) in [(0.0, 187.5), (1.0, 312.5), (-5.0, 187.5), (5.0, 312.5)] {
            var backoff = DialBackoff()
            backoff.failed(address, now: start, jitter: jitter)
            #expect(backoff.wait(for: address, now: start) == .microseconds(Int(milliseconds * 1000)))
        }
    }

    @Test func tableIsBounded() throws {
        var backoff = DialBackoff()
        for port in 1...UInt16(DialBackoff.capacity + 100) {
            backoff.failed(Multiaddr(ip: try IPAddress("192.0.2.1"), tcpPort: port), now: start, jitter: 0.5)
            #expect(backoff.count <= DialBackoff.capacity)
        }
        #expect(backoff.count == DialBackoff.capacity)
    }

    @Test func liveMachineLosesBackoff() throws {
        let (alive, dead) = (try IPAddress("192.0.2.1"), try IPAddress("192.0.2.2"))
        var backoff = DialBackoff()
        for machine in [alive, dead] {
            for port in [1, 2] as [UInt16] {
                backoff.failed(Multiaddr(ip: machine, tcpPort: port), now: start, jitter: 0.5)
            }
        }
        backoff.forget(machine: alive)
        #expect(backoff.wait(for: Multiaddr(ip: alive, tcpPort: 2), now: start) == nil)
        #expect(backoff.wait(for: Multiaddr(ip: dead, tcpPort: 2), now: start) != nil)
        #expect(backoff.count == 2)
    }
}
