import Testing
import Time

@testable import Routing

struct BootstrapReportTests {
    private let start = MonotonicTime(nanoseconds: 5)

    @Test func warnsWhileAttemptsFail() {
        var report = BootstrapReport()
        var lines: [BootstrapReport.Line] = []
        for second in 0...700 {
            let line = report.attempted(isAlone: true, failure: "404", now: start + .seconds(second))
            if let line { lines.append(line) }
        }
        #expect(
            lines == [
                .alone(reason: "404"), .stillAlone(reason: "404", .seconds(10)),
                .stillAlone(reason: "404", .seconds(310)), .stillAlone(reason: "404", .seconds(610)),
            ]
        )
        #expect(report.attempted(isAlone: false, failure: nil, now: start + .seconds(701)) == .joined)
        #expect(report.attempted(isAlone: false, failure: nil, now: start + .seconds(702)) == nil)
        // Once it is alone again, it has patience again.
        #expect(report.attempted(isAlone: true, failure: "x", now: start + .seconds(703)) == .alone(reason: "x"))
        #expect(report.attempted(isAlone: true, failure: "x", now: start + .seconds(712)) == nil)
    }

    /// The first node of a network has no other node to find.
    @Test func firstNodeDoesNotWarn() {
        var report = BootstrapReport()
        #expect(report.attempted(isAlone: true, failure: nil, now: start) == .alone(reason: nil))
        for second in 1...1000 {
            #expect(report.attempted(isAlone: true, failure: nil, now: start + .seconds(second)) == nil)
        }
    }

    /// A short start is no reason for a warning.
    @Test func joiningSoonDoesNotWarn() {
        var report = BootstrapReport()
        for second in 0..<10 {
            let line = report.attempted(isAlone: true, failure: "refused", now: start + .seconds(second))
            #expect(line == (second == 0 ? .alone(reason: "refused") : nil))
        }
        #expect(report.attempted(isAlone: false, failure: nil, now: start + .seconds(10)) == .joined)
    }
}
