import DebugPage
import Synchronization

/// A report that several requests write at the same time.
final class PullLog: Sendable {
    private let state: Mutex<PullReport>

    init(_ report: PullReport) {
        state = Mutex(report)
    }

    /// The report so far.
    var report: PullReport { state.withLock { $0 } }

    /// Notes that a step has begun.
    ///
    /// - Returns: its place.
    func begin(_ step: PullReport.Step) -> Int {
        state.withLock { report in
            report.steps.append(step)
            return report.steps.count - 1
        }
    }

    /// Notes what is known of a step now.
    func update(_ place: Int, _ step: PullReport.Step) {
        state.withLock { report in
            guard report.steps.indices.contains(place) else { return }
            report.steps[place] = step
        }
    }
}
