import FoundationEssentials

/// A run of one target with mutations of its corpus.
struct FuzzRun {
    /// The memory that a target may use in addition to the input: caches, buffers of the allocator.
    static let memoryConstant = 24 << 20
    /// The memory that an input may use for each of its bytes.
    static let memoryFactor = 64
    /// The length of the inputs that check the factor, and their number.
    static let largeLength = 1 << 20
    static let largeInputs = 24

    let target: FuzzTarget
    let corpus: [FuzzTarget.Sample]
    let seed: UInt64
    let count: Int
    /// The path of the recorded input.
    let recordPath: String

    /// Runs the target.
    ///
    /// - Returns: a line of the report.
    /// - Throws: ``FuzzError`` when the corpus is not valid or the target needs too much memory.
    func run() throws -> String {
        for sample in corpus {
            guard target.run(sample.bytes) else {
                throw FuzzError("\(target.name): expected the committed input \(sample.name) to be valid")
            }
        }
        let recorder = try InputRecorder(path: recordPath, capacity: 4 * Self.largeLength, target: target.name)
        var mutator = Mutator(
            seed: seed ^ Self.hash(target.name),
            samples: corpus.map(\.bytes),
            dictionary: target.dictionary,
            maximumLength: target.maximumLength
        )
        var accepted = 0
        let clock = ContinuousClock()
        let begin = clock.now
        let growth = peakGrowth {
            for _ in 0..<count {
                let input = mutator.next()
                recorder.record(input)
                if target.run(input) { accepted += 1 }
            }
        }
        let seconds = (clock.now - begin) / .seconds(1)
        let largeGrowth = peakGrowth {
            for _ in 0..<Self.largeInputs {
                let input = mutator.large(Self.largeLength)
                recorder.record(input)
                _ = target.run(input)
            }
        }
        recorder.finish(path: recordPath)
        try checkMemory(growth, length: target.maximumLength)
        try checkMemory(largeGrowth, length: Self.largeLength)
        let rate = Int(Double(count) / max(seconds, 0.001))
        let share = Double(accepted) / Double(max(count, 1)) * 100
        return "\(target.name.padded(to: 22)) \(String(count).padded(to: -9)) inputs \(String(rate).padded(to: -8))/s"
            + " \(String(Int(share.rounded())).padded(to: -3)) % valid, memory +\(growth >> 20) MiB,"
            + " +\(largeGrowth >> 20) MiB with inputs of 1 MiB"
    }

    private func peakGrowth(_ body: () -> Void) -> Int {
        MemoryGauge.resetPeak()
        let before = MemoryGauge.current
        body()
        return max(0, MemoryGauge.peak - before)
    }

    private func checkMemory(_ growth: Int, length: Int) throws {
        let bound = Self.memoryConstant + Self.memoryFactor * length
        guard growth <= bound else {
            throw FuzzError(
                "\(target.name): expected at most \(bound >> 20) MiB for inputs of \(length) bytes, found \(growth >> 20) MiB"
            )
        }
    }

    /// FNV-1a, so that a target's inputs do not depend on the other targets.
    private static func hash(_ name: String) -> UInt64 {
        name.utf8.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
    }
}

extension String {
    /// The text padded with blanks at its end, or at its start for a negative width.
    fileprivate func padded(to width: Int) -> String {
        let blanks = String(repeating: " ", count: max(0, abs(width) - count))
        return width < 0 ? blanks + self : self + blanks
    }
}
