import FoundationEssentials

/// The resources that the process holds.
enum ProcessState {
    /// The number of open descriptors.
    static var openDescriptors: Int {
        (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count) ?? 0
    }

    /// The resident memory in MiB.
    static var residentMemory: Double {
        guard let data = try? Data(contentsOf: URL(filePath: "/proc/self/status")) else { return 0 }
        for line in String(decoding: data, as: UTF8.self).split(separator: "\n") where line.hasPrefix("VmRSS:") {
            return (Double(line.filter(\.isNumber)) ?? 0) / 1024
        }
        return 0
    }
}

/// The trend of memory over a run.
struct MemoryTrend {
    private var samples: [(minutes: Double, memory: Double)] = []

    /// Adds a sample: the time in minutes and the memory in MiB.
    mutating func add(minutes: Double, memory: Double) { samples.append((minutes, memory)) }

    var count: Int { samples.count }

    /// The means of the second and of the last quarter in MiB. The first quarter is warm-up.
    var quarters: (second: Double, last: Double) {
        let size = max(1, samples.count / 4)
        func mean(_ part: ArraySlice<(minutes: Double, memory: Double)>) -> Double {
            part.map(\.memory).reduce(0, +) / Double(max(1, part.count))
        }
        return (mean(samples.dropFirst(size).prefix(size)), mean(samples.suffix(size)))
    }

    /// The slope of the regression line after the first quarter, in MiB per minute.
    var slope: Double {
        let part = samples.dropFirst(samples.count / 4)
        let count = Double(max(1, part.count))
        let meanX = part.map(\.minutes).reduce(0, +) / count
        let meanY = part.map(\.memory).reduce(0, +) / count
        let covariance = part.map { ($0.minutes - meanX) * ($0.memory - meanY) }.reduce(0, +)
        let variance = part.map { ($0.minutes - meanX) * ($0.minutes - meanX) }.reduce(0, +)
        return variance > 0 ? covariance / variance : 0
    }
}
