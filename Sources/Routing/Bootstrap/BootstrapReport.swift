import Time

/// What is said of the attempts to join the network: a value without a clock.
///
/// A node that is alone says so once. While it stays alone and attempts fail, it warns after 10 s and then every 5 minutes,
/// with the last reason: an address that answers 404 for good looks like a network that is about to start. A node whose
/// source names no other node has nothing to warn of.
struct BootstrapReport {
    /// What is to be logged.
    enum Line: Hashable {
        case alone(reason: String?)
        /// The node is alone for so long, and attempts fail.
        case stillAlone(reason: String, Duration)
        case joined
    }

    static let patience = Duration.seconds(10)
    static let interval = Duration.seconds(300)

    /// Since when the node is alone.
    private var aloneSince: MonotonicTime?
    private var nextWarning: MonotonicTime?

    /// Whether the last attempt left the node alone.
    var isAlone: Bool { aloneSince != nil }

    /// Takes in the outcome of an attempt.
    ///
    /// - Parameter failure: the reason, if it failed.
    mutating func attempted(isAlone: Bool, failure: String?, now: MonotonicTime) -> Line? {
        guard isAlone else {
            defer { self = BootstrapReport() }
            return aloneSince == nil ? nil : .joined
        }
        guard let aloneSince, let nextWarning else {
            self.aloneSince = now
            nextWarning = now + Self.patience
            return .alone(reason: failure)
        }
        guard let failure, now >= nextWarning else { return nil }
        self.nextWarning = now + Self.interval
        return .stillAlone(reason: failure, now - aloneSince)
    }
}
