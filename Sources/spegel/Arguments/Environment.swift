import FoundationEssentials

/// The environment of the process.
enum Environment {
    /// The variables at the time of the call.
    static var current: [String: String] {
        ProcessInfo.processInfo.environment
    }
}
