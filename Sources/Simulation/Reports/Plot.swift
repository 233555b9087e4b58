internal import Glibc

/// A diagram of a few series of points.
public struct Plot: Sendable {
    /// An axis of a diagram.
    public struct Axis: Sendable {
        /// The mapping of numbers to positions.
        public enum Scale: Sendable {
            /// Proportional.
            case linear
            /// Logarithmic. Numbers below the smallest positive one are drawn at its position.
            case logarithmic
            /// The positions 0, 1, 2… with names.
            case categories([String])
        }

        /// The label, with the unit.
        public var label: String
        /// The scale.
        public var scale: Scale
        /// The range to show at least.
        public var range: ClosedRange<Double>?

        /// Creates an axis.
        public init(_ label: String, _ scale: Scale = .linear, range: ClosedRange<Double>? = nil) {
            self.label = label
            self.scale = scale
            self.range = range
        }
    }

    /// Points that belong together.
    public struct Series: Sendable {
        /// The name.
        public var name: String
        /// The points from left to right.
        public var points: [(x: Double, y: Double)]

        /// Creates a series.
        public init(_ name: String, _ points: [(x: Double, y: Double)]) {
            self.name = name
            self.points = points
        }
    }

    /// The title.
    public var title: String
    /// The horizontal axis.
    public var x: Axis
    /// The vertical axis.
    public var y: Axis
    /// The series, at most four.
    public var series: [Series]

    /// Creates a diagram.
    public init(title: String, x: Axis, y: Axis, series: [Series]) {
        self.title = title
        self.x = x
        self.y = y
        self.series = series
    }
}

/// The mapping of numbers to positions along an axis, with its tick marks.
struct PlotScale {
    private let scale: Plot.Axis.Scale
    private let low: Double
    private let high: Double
    /// The numbers with tick marks, and their labels.
    let ticks: [(value: Double, text: String)]

    init(_ axis: Plot.Axis, values: [Double]) {
        scale = axis.scale
        switch axis.scale {
        case .categories(let names):
            (low, high) = (-0.5, Double(max(names.count, 1)) - 0.5)
            ticks = names.enumerated().map { (Double($0.offset), $0.element) }
        case .logarithmic:
            let positive = (values + [axis.range?.lowerBound, axis.range?.upperBound].compactMap(\.self)).filter {
                $0 > 0
            }
            var exponents = (low: 0, high: 1)
            if let least = positive.min(), let most = positive.max() {
                exponents.low = Self.exponent(of: least)
                exponents.high = Self.exponent(of: most)
                if Self.power(exponents.high) < most * 0.999 { exponents.high += 1 }
                if exponents.high == exponents.low { exponents.high += 1 }
            }
            (low, high) = (Double(exponents.low), Double(exponents.high))
            ticks = (exponents.low...exponents.high).map { (Self.power($0), Self.text(of: Self.power($0))) }
        case .linear:
            let all = values + [axis.range?.lowerBound, axis.range?.upperBound].compactMap(\.self)
            let least = axis.range?.lowerBound ?? min(0, all.min() ?? 0)
            let most = all.max() ?? 1
            let step = Self.step(for: max(most - least, 1e-9))
            let first = (least / step).rounded(.down) * step
            let count = max(1, Int(((most - first) / step - 1e-6).rounded(.up)))
            (low, high) = (first, first + Double(count) * step)
            ticks = (0...count).map { (first + Double($0) * step, Self.text(of: first + Double($0) * step)) }
        }
    }

    /// The position from 0 at the start of the axis to 1 at its end.
    func place(of value: Double) -> Double {
        let position: Double
        if case .logarithmic = scale {
            position = value > 0 ? Self.log10(value) : low
        } else {
            position = value
        }
        return min(max((position - low) / (high - low), 0), 1)
    }

    /// A step of 1, 2 or 5 times a power of ten, so that the range has four to eight steps.
    private static func step(for range: Double) -> Double {
        let base = power(exponent(of: range / 4))
        return [5, 2, 1].map { $0 * base }.first { range / $0 >= 3.9 } ?? base
    }

    private static func text(of value: Double) -> String {
        if value.magnitude >= 1_000_000 { return shortened(value / 1_000_000) + "M" }
        if value.magnitude >= 10_000 { return shortened(value / 1000) + "k" }
        return shortened(value)
    }

    private static func shortened(_ value: Double) -> String {
        var text = decimal(value, 4)
        while text.last == "0" { text.removeLast() }
        if text.last == "." { text.removeLast() }
        return text == "" || text == "-" ? "0" : text
    }

    private static func exponent(of value: Double) -> Int {
        Int((log10(value) + 1e-9).rounded(.down))
    }

    private static func power(_ exponent: Int) -> Double {
        var value = 1.0
        for _ in 0..<exponent.magnitude { value *= 10 }
        return exponent < 0 ? 1 / value : value
    }

    private static func log10(_ value: Double) -> Double {
        Glibc.log10(value)
    }
}
