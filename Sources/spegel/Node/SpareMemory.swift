import CMalloc
import Glibc

/// Returns unused memory to the system.
enum SpareMemory {
    /// Makes all threads share two heaps: glibc's heaps per thread each keep free pages. Call it before the first thread
    /// starts.
    static func limitHeaps() {
        mallopt(M_ARENA_MAX, 2)
    }

    /// Returns the free pages of the heap to the system. A burst, such as the records of a new node, leaves holes that
    /// the allocator would keep.
    static func trimHeap() {
        malloc_trim(0)
    }

    /// Drops the pages of the code and constants of the program and its libraries from the resident set.
    ///
    /// The start runs through far more code than a node at rest, and the kernel maps 64 KiB around each touched page. A
    /// page that was never written to comes back from the page cache on its next use.
    static func releaseCode() {
        guard let file = fopen("/proc/self/smaps", "re") else { return }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: Int(PATH_MAX) + 256)
        var candidate: Range<UInt>?
        while fgets(&line, Int32(line.count), file) != nil {
            // A mapping begins with its address, and two dozen lines of fields follow, of which one matters.
            guard Self.isHexDigit(line[0]) || strncmp(line, "Anonymous:", 10) == 0 else { continue }
            let text = text(of: line.prefix { $0 != 0 && $0 != 10 })
            if let size = anonymousSize(inSmapsLine: text) {
                guard let range = candidate else { continue }
                candidate = nil
                // A page that was written to, for example by the dynamic linker, is anonymous and would be lost.
                guard size == 0, let start = UnsafeMutableRawPointer(bitPattern: range.lowerBound) else { continue }
                _ = madvise(start, range.count, MADV_DONTNEED)
            } else if let range = readOnlyRange(inMapsLine: text) {
                candidate = range
            } else if isMapsLine(text) {
                candidate = nil
            }
        }
    }

    /// Whether the line begins a mapping: `START-END PERMISSIONS …`.
    static func isMapsLine(_ line: String) -> Bool {
        line.prefix { $0 != " " }.contains("-")
    }

    /// The addresses of a private read-only mapping of a file: `START-END r--p … /…` or `r-xp`.
    static func readOnlyRange(inMapsLine line: String) -> Range<UInt>? {
        let fields = line.split(separator: " ", maxSplits: 5)
        guard fields.count == 6, ["r--p", "r-xp"].contains(fields[1]) else { return nil }
        guard fields[5].drop(while: { $0 == " " }).hasPrefix("/") else { return nil }
        let ends = fields[0].split(separator: "-")
        guard ends.count == 2, let start = UInt(ends[0], radix: 16), let end = UInt(ends[1], radix: 16), start < end
        else { return nil }
        return start..<end
    }

    /// The kilobytes of a line `Anonymous: 12 kB`, or `nil` for any other line.
    static func anonymousSize(inSmapsLine line: String) -> Int? {
        let fields = line.split(separator: " ")
        guard fields.count == 3, fields[0] == "Anonymous:" else { return nil }
        return Int(fields[1])
    }

    private static func isHexDigit(_ character: CChar) -> Bool {
        isxdigit(Int32(UInt8(bitPattern: character))) != 0 && isupper(Int32(UInt8(bitPattern: character))) == 0
    }

    private static func text(of characters: ArraySlice<CChar>) -> String {
        String(decoding: characters.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
