import Glibc
import Monitoring
import Routing
import Testing

@testable import spegel

struct ServiceManagerTests {
    @Test func saysOnceThatTheNodeHasStarted() {
        var report = ServiceManagerReport()
        let first = report.message(readiness: .notReady("alone"), stalls: [], tellsWatchdog: false)
        #expect(first == "READY=1\nSTATUS=not ready: alone")
        let second = report.message(readiness: .notReady("alone"), stalls: [], tellsWatchdog: false)
        #expect(second == nil)
        let third = report.message(readiness: .ready("2 peers"), stalls: [], tellsWatchdog: false)
        #expect(third == "STATUS=ready: 2 peers")
    }

    @Test func tellsTheWatchdogOnlyWhileAllMoves() {
        var report = ServiceManagerReport()
        _ = report.message(readiness: .ready("2 peers"), stalls: [], tellsWatchdog: true)
        let well = report.message(readiness: .ready("2 peers"), stalls: [], tellsWatchdog: true)
        #expect(well == "WATCHDOG=1")
        let stuck = report.message(readiness: .ready("2 peers"), stalls: ["event loop 1"], tellsWatchdog: true)
        #expect(stuck == "STATUS=stuck: event loop 1")
        let again = report.message(readiness: .ready("2 peers"), stalls: ["event loop 1"], tellsWatchdog: true)
        #expect(again == nil)
    }

    @Test func breaksNoFieldInTwo() {
        var report = ServiceManagerReport()
        let message = report.message(readiness: .notReady("one\nWATCHDOG=1\r\nthree"), stalls: [], tellsWatchdog: false)
        #expect(message == "READY=1\nSTATUS=not ready: one WATCHDOG=1 three")
    }

    @Test func saysOnceThatTheNodeEnds() {
        var report = ServiceManagerReport()
        let first = report.stoppingMessage()
        let second = report.stoppingMessage()
        #expect(first == "STOPPING=1\nSTATUS=shutting down" && second == nil)
    }

    @Test(arguments: ["", "/", "@", "relative", "/" + String(repeating: "a", count: 108)])
    func refusesWhatIsNoSocketsName(name: String) {
        #expect(NotifySocket(path: name) == nil)
    }

    @Test(arguments: ["/tmp/spegel-notify-\(getpid())", "@spegel-notify-\(getpid())"])
    func reachesTheSocket(name: String) throws {
        let receiver = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        try #require(receiver >= 0)
        defer {
            close(receiver)
            if name.hasPrefix("/") { unlink(name) }
        }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        var bytes = Array(name.utf8)
        if name.hasPrefix("@") { bytes[0] = 0 }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let length = socklen_t(2 + bytes.count)
        let bound = withUnsafePointer(to: address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(receiver, $0, length) }
        }
        try #require(bound == 0)
        let notifier = try #require(NotifySocket(path: name))
        #expect(notifier.send("READY=1\nSTATUS=ready: 2 peers"))
        var buffer = [UInt8](repeating: 0, count: 256)
        let count = recv(receiver, &buffer, buffer.count, Int32(MSG_DONTWAIT))
        try #require(count > 0)
        #expect(String(decoding: buffer.prefix(count), as: UTF8.self) == "READY=1\nSTATUS=ready: 2 peers")
    }

    @Test func sendsToASocketWithoutListener() throws {
        let notifier = try #require(NotifySocket(path: "/tmp/spegel-absent-\(getpid())"))
        #expect(!notifier.send("READY=1"))
    }
}
