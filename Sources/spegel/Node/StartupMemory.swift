import Glibc

/// Gives memory back that only the start of the program needed.
enum StartupMemory {
    /// Drops the pages of the program's code from the resident set.
    ///
    /// The start runs through far more code than a node at rest, and the kernel maps 64 KiB around each page that is
    /// touched. Code is never written to, so what is needed again is mapped again from the page cache.
    static func release() {
        guard let maps = fopen("/proc/self/maps", "re") else { return }
        defer { fclose(maps) }
        var program = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
        let length = readlink("/proc/self/exe", &program, program.count - 1)
        guard length > 0 else { return }
        let path = String(decoding: program.prefix(length).map { UInt8(bitPattern: $0) }, as: UTF8.self)

        var line = [CChar](repeating: 0, count: Int(PATH_MAX) + 256)
        while fgets(&line, Int32(line.count), maps) != nil {
            let text = String(
                decoding: line.prefix { $0 != 0 && $0 != 10 }.map { UInt8(bitPattern: $0) },
                as: UTF8.self
            )
            guard text.hasSuffix(" " + path), let range = codeRange(inMapsLine: text) else { continue }
            guard let start = UnsafeMutableRawPointer(bitPattern: range.lowerBound) else { continue }
            _ = madvise(start, range.count, MADV_DONTNEED)
        }
    }

    /// The addresses of a mapping that can be executed and not written: `START-END r-xp …`.
    static func codeRange(inMapsLine line: String) -> Range<UInt>? {
        let fields = line.split(separator: " ", maxSplits: 2)
        guard fields.count == 3, fields[1] == "r-xp" else { return nil }
        let ends = fields[0].split(separator: "-")
        guard ends.count == 2, let start = UInt(ends[0], radix: 16), let end = UInt(ends[1], radix: 16), start < end
        else { return nil }
        return start..<end
    }
}
