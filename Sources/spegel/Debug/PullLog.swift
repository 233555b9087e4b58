import DebugAPI
import Synchronization

/// The steps of a test pull, which concurrent requests record.
final class PullLog: Sendable {
    private let state = Mutex<[PullReport.Step]>([])

    /// The steps so far, in the order in which they began.
    var steps: [PullReport.Step] { state.withLock { $0 } }

    /// Records the start of a step.
    ///
    /// - Returns: the index of the step.
    func begin(_ step: PullReport.Step) -> Int {
        state.withLock { steps in
            steps.append(step)
            return steps.count - 1
        }
    }

    /// Records what is known of a step now.
    func update(_ index: Int, _ step: PullReport.Step) {
        state.withLock { steps in
            guard steps.indices.contains(index) else { return }
            steps[index] = step
        }
    }
}
