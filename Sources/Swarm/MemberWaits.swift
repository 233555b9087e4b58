/// How long a member waits for what, and when it reports. Every wait of ``Member`` has a bound here.
///
/// - It asks the nearest coordinator for a place. Without an answer within ``answer`` it asks the next one, and after
///   ``coordinators`` of them it goes on without a crowd.
/// - Before the first byte it waits for ``start`` in all, ``manifestStart`` for a manifest or configuration: for an
///   answer, for a place, for a leader to begin. Then its client gets 404.
/// - A source that refuses, ends or fails is left at once. One that sends nothing for ``starving`` is reported to the
///   coordinator; unless that says to stay, the member leaves it after ``starved`` for the next source of its place. A
///   source that starves itself is kept for ``patience``.
/// - In the middle of the content it waits for another place for ``gap``, then goes upstream from the byte it has reached.
/// - It reports its first byte, its last, and at growing intervals between (``interval(after:)``), so that the number of
///   reports grows with the logarithm of a slow transfer's time. Every ``askEvery``th report asks for an answer: that is
///   how it learns that the coordinator is gone.
public enum MemberWaits {
    /// For an answer of a coordinator.
    public static let answer = Duration.milliseconds(300)
    /// The number of coordinators that a member asks in turn.
    public static let coordinators = 3
    /// From the request to the 404, while there is no byte.
    public static let start = Duration.seconds(2)
    /// The same for manifests and configurations.
    public static let manifestStart = Duration.milliseconds(300)
    /// Without a byte, until the coordinator is asked.
    public static let starving = Duration.seconds(1)
    /// Without a byte, until the source is left.
    public static let starved = Duration.milliseconds(1900)
    /// Without a byte, at a source that starves itself.
    public static let patience = Duration.milliseconds(3500)
    /// Without a source in the middle of the content.
    public static let gap = Duration.milliseconds(2000)
    /// The share of reports that ask for an answer.
    static let askEvery = 4

    /// The least time between two reports of a member that waits for a place.
    static let searchInterval = Duration.milliseconds(500)

    /// The time to the next report after this number of them.
    static func interval(after reports: Int) -> Duration {
        switch reports {
        case ..<4: .milliseconds(125)
        case ..<8: .milliseconds(250)
        case ..<14: .milliseconds(500)
        case ..<20: .seconds(1)
        case ..<24: .seconds(2)
        default: .seconds(5)
        }
    }
}
