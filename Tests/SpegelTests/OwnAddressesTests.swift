import Multiformats
import Testing

@testable import spegel

@Suite struct OwnAddressesTests {
    @Test func readsGatewaysOfDefaultRoutes() throws {
        let ipv4 = """
            Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
            eth0\t00000000\t0103F40A\t0003\t0\t0\t0\t00000000\t0\t0\t0
            eth0\t0003F40A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
            eth0\t0000F40A\t0203F40A\t0003\t0\t0\t0\t0000FFFF\t0\t0\t0
            """
        #expect(DefaultGateways.ipv4(ipv4) == [try IPAddress("10.244.3.1")])
        let zero = String(repeating: "0", count: 32)
        let ipv6 = """
            \(zero) 00 \(zero) 00 fd000000000000000000000000000001 00000400 00000001 00000000 00000003     eth0
            fd000000000000000000000000000000 40 \(zero) 00 \(zero) 00000100 00000001 00000000 00000001     eth0
            \(zero) 00 \(zero) 00 \(zero) ffffffff 00000001 00000000 00200200       lo
            """
        #expect(DefaultGateways.ipv6(ipv6) == [try IPAddress("fd00::1")])
    }

    @Test(arguments: ["", "\n", "a b c", "x\n0 0 0 0 0 0 0\n", "x\neth0 0 zz 0 0 0 0 0\n", "0 0 0 0 0\n"])
    func ignoresOtherLines(table: String) {
        #expect(DefaultGateways.ipv4(table).isEmpty)
        #expect(DefaultGateways.ipv6(table).isEmpty)
    }

    @Test func loopbackIsOwnAndNoPeerIs() throws {
        let own = OwnAddresses(includesGateway: false)
        #expect(own.contains(try IPAddress("127.0.0.1")))
        #expect(!own.contains(try IPAddress("192.0.2.1")))
    }
}
