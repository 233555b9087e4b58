import Testing

@testable import Routing

struct ZoneTests {
    @Test(arguments: ["a", "A", "7", "eu-central-1a", "rack_1.row-2", String(repeating: "z", count: 63)])
    func parsesNames(text: String) throws {
        let zone = try #require(Zone(text))
        #expect(zone.text == text && "\(zone)" == text)
        #expect(Zone(protocols: ["/ipfs/id/1.0.0", zone.protocolName, "/ipfs/ping/1.0.0"]) == zone)
    }

    @Test(arguments: [
        "", "-", "-a", "a-", "a.", "_", "a b", "a/b", "zöne", "a\u{0}", "a\r\n", "a\u{301}",
        String(repeating: "z", count: 64),
    ])
    func rejectsOtherTexts(text: String) {
        #expect(Zone(text) == nil)
        #expect(Zone(protocols: ["/spegel/zone/1/" + text]) == nil)
    }

    @Test func firstOfSeveralZonesCounts() {
        #expect(Zone(protocols: []) == nil)
        #expect(Zone(protocols: ["/spegel/zone/1", "/spegel/zone/2/a", "zone", "/spegel/kad/1.0.0"]) == nil)
        #expect(Zone(protocols: ["/spegel/zone/1/-", "/spegel/zone/1/b", "/spegel/zone/1/a"]) == Zone("b"))
    }

    @Test func remembersZonesOfPeers() {
        let zones = PeerZones()
        #expect(zones.zone(of: "one") == nil)
        zones.note(Zone("a"), of: "one")
        zones.note(text: "b", of: "two")
        zones.note(text: "b", of: "two")
        #expect(zones.zone(of: "one") == Zone("a") && zones.zone(of: "two") == Zone("b"))
        zones.note(text: "c", of: "one")
        #expect(zones.zone(of: "one") == Zone("c"))
        zones.note(nil, of: "one")
        zones.note(text: nil, of: "two")
        zones.note(text: nil, of: "three")
        zones.note(text: "no zone", of: "four")
        #expect(zones.count == 0)
    }

    @Test func dropsOldestPeersAboveLimit() {
        let zones = PeerZones()
        zones.note(text: "a", of: "often")
        for number in 0..<5000 {
            zones.note(Zone("b"), of: "\(number)")
            zones.note(text: "a", of: "often")
            #expect(zones.count <= PeerZones.limit)
        }
        #expect(zones.zone(of: "often") == Zone("a") && zones.zone(of: "4999") == Zone("b"))
        #expect(zones.zone(of: "0") == nil)
    }
}
