import Glibc
import TestSupport
import Testing

@testable import ContentStore

@Suite("InotifyWatch")
struct InotifyWatchTests {
    private func record(watch: Int32, mask: UInt32, length: UInt32, name: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = []
        withUnsafeBytes(of: watch) { bytes.append(contentsOf: $0) }
        withUnsafeBytes(of: mask) { bytes.append(contentsOf: $0) }
        withUnsafeBytes(of: UInt32(0)) { bytes.append(contentsOf: $0) }
        withUnsafeBytes(of: length) { bytes.append(contentsOf: $0) }
        return bytes + name
    }

    @Test("parses the kernel's records")
    func records() {
        let name = Array("abc".utf8) + [UInt8](repeating: 0, count: 13)
        let bytes =
            record(watch: 1, mask: UInt32(IN_MOVED_TO), length: 16, name: name)
            + record(watch: 2, mask: UInt32(IN_DELETE_SELF), length: 0, name: [])
            + record(watch: -1, mask: UInt32(IN_Q_OVERFLOW), length: 0, name: [])
        let events = InotifyWatch.parse(bytes[...])
        #expect(events.map(\.watch) == [1, 2, -1])
        #expect(events.map(\.name) == ["abc", "", ""])
        #expect(events.map(\.isEntryComplete) == [true, false, false])
        #expect(events.map(\.isFolderGone) == [false, true, false])
        #expect(events.map(\.isOverflow) == [false, false, true])
    }

    @Test("wait returns at each event and on cancellation", .timeLimit(.minutes(1)))
    func waiting() async throws {
        let folder = try TemporaryFolder()
        let watch = try #require(InotifyWatch())
        _ = try watch.add(folder.path)
        for number in 0..<20 {
            async let waited: Void = watch.wait()
            if number.isMultiple(of: 2) { try await Task.sleep(for: .milliseconds(5)) }
            try folder.write("x", to: "file-\(number)")
            await waited
            var names: [String] = []
            while names.isEmpty { names = try watch.read().map(\.name) }
            #expect(names.contains("file-\(number)"))
            while !(try watch.read()).isEmpty {}
        }
        for _ in 0..<20 {
            let waiter = Task { await watch.wait() }
            if Bool.random() { await Task.yield() }
            waiter.cancel()
            await waiter.value
        }
        // A cancelled waiter does not block the next.
        async let waited: Void = watch.wait()
        try folder.write("x", to: "last")
        await waited
        #expect(try !watch.read().isEmpty)
    }

    @Test("stops at a truncated record")
    func cut() {
        let bytes = record(watch: 1, mask: UInt32(IN_CREATE), length: 64, name: [65, 0])
        #expect(InotifyWatch.parse(bytes[...]).isEmpty)
        #expect(InotifyWatch.parse(bytes.prefix(15)).isEmpty)
        #expect(InotifyWatch.parse([]).isEmpty)
        let endless = record(watch: 1, mask: 0, length: .max, name: [65])
        #expect(InotifyWatch.parse(endless[...]).isEmpty)
    }
}
