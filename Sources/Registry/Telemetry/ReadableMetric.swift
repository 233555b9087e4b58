import CoreMetrics
import Synchronization

/// A counter that swift-metrics exports, and that the node reads itself.
final class ReadableCounter: Sendable {
    private let exported: Counter
    private let count = Atomic(0)

    init(_ exported: Counter) {
        self.exported = exported
    }

    /// What was counted so far.
    var value: Int { count.load(ordering: .relaxed) }

    func add(_ amount: Int = 1) {
        count.wrappingAdd(amount, ordering: .relaxed)
        exported.increment(by: amount)
    }
}

/// A gauge that swift-metrics exports, and that the node reads itself.
final class ReadableGauge: Sendable {
    private let exported: Meter
    private let level = Atomic(0)

    init(_ exported: Meter) {
        self.exported = exported
    }

    /// The level now.
    var value: Int { level.load(ordering: .relaxed) }

    func change(by change: Int) {
        level.wrappingAdd(change, ordering: .relaxed)
        exported.increment(by: Double(change))
    }
}
