import NIOCore

/// A timer for a deadline that mostly moves: moving it to a later time costs nothing, since the task that is scheduled
/// looks for the deadline of the day when it runs. To be used on its event loop only.
package final class LazyTimer {
    private let eventLoop: any EventLoop
    private var scheduled: Scheduled<Void>?
    private var scheduledFor: NIODeadline?

    /// Called when the deadline has passed; the deadline is `nil` then.
    package var onDeadline: (() -> Void)?

    /// When to call ``onDeadline``; `nil` never.
    package var deadline: NIODeadline? {
        didSet {
            guard let deadline else { return }
            if let scheduledFor, scheduledFor <= deadline { return }
            schedule(deadline)
        }
    }

    package init(eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
    }

    /// Stops for good and lets go of what ``onDeadline`` holds.
    package func stop() {
        deadline = nil
        scheduled?.cancel()
        scheduled = nil
        scheduledFor = nil
        onDeadline = nil
    }

    private func schedule(_ time: NIODeadline) {
        scheduled?.cancel()
        scheduledFor = time
        scheduled = eventLoop.assumeIsolated().scheduleTask(deadline: time) { [weak self] in self?.fire() }
    }

    private func fire() {
        scheduled = nil
        scheduledFor = nil
        guard let deadline else { return }
        guard deadline <= .now() else { return schedule(deadline) }
        self.deadline = nil
        onDeadline?()
    }
}
