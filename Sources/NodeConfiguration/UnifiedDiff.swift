/// The differences between two texts by line, in the unified format of `patch`.
package struct UnifiedDiff {
    /// A line of the output.
    package enum Line: Hashable, Sendable {
        /// `--- name` and `+++ name`.
        case file(String)
        /// `@@ -1,2 +3,4 @@`
        case hunk(String)
        /// A line of both texts.
        case common(String)
        /// A line of the old text only.
        case removed(String)
        /// A line of the new text only.
        case added(String)
        /// A marker that the line before it has no line break.
        case unended
    }

    /// The number of context lines around a change.
    static let context = 3
    /// The maximum number of lines to compare. A longer text is replaced as a whole.
    static let maximumLines = 10_000

    /// The output lines, none for equal texts.
    package private(set) var lines: [Line] = []

    /// Compares two texts; `nil` is a missing file.
    package init(_ old: [UInt8]?, _ new: [UInt8]?, name: String) {
        let edits = Self.edits(from: Self.split(old ?? []), to: Self.split(new ?? []))
        guard edits.contains(where: { $0.kind != .common }) || (old == nil) != (new == nil) else { return }
        lines = [
            .file("--- " + (old == nil ? "/dev/null" : "a/" + name)),
            .file("+++ " + (new == nil ? "/dev/null" : "b/" + name)),
        ]
        for range in Self.hunks(edits) { append(edits, range) }
    }

    private enum Kind {
        case common, removed, added
    }

    /// A line with its positions in the old and the new text, from 0.
    private struct Edit {
        var kind: Kind
        var text: ArraySlice<UInt8>
        var old: Int
        var new: Int
    }

    /// The lines with their line breaks.
    private static func split(_ text: [UInt8]) -> [ArraySlice<UInt8>] {
        var lines: [ArraySlice<UInt8>] = []
        var rest = text[...]
        while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
            lines.append(rest[...end])
            rest = rest[(end + 1)...]
        }
        return rest.isEmpty ? lines : lines + [rest]
    }

    private static func edits(from old: [ArraySlice<UInt8>], to new: [ArraySlice<UInt8>]) -> [Edit] {
        var removed = Set(old.indices)
        var added = Set(new.indices)
        if old.count <= maximumLines, new.count <= maximumLines {
            (removed, added) = ([], [])
            for change in new.difference(from: old) {
                switch change {
                case .remove(let offset, _, _): removed.insert(offset)
                case .insert(let offset, _, _): added.insert(offset)
                }
            }
        }
        var edits: [Edit] = []
        var (i, j) = (0, 0)
        while i < old.count || j < new.count {
            if i < old.count, removed.contains(i) {
                edits.append(Edit(kind: .removed, text: old[i], old: i, new: j))
                i += 1
            } else if j < new.count, added.contains(j) {
                edits.append(Edit(kind: .added, text: new[j], old: i, new: j))
                j += 1
            } else {
                // A line that is neither removed nor added is in both texts.
                guard i < old.count, j < new.count else { break }
                edits.append(Edit(kind: .common, text: old[i], old: i, new: j))
                i += 1
                j += 1
            }
        }
        return edits
    }

    /// The edits to show: each change with its context.
    private static func hunks(_ edits: [Edit]) -> [Range<Int>] {
        var ranges: [Range<Int>] = []
        for (position, edit) in edits.enumerated() where edit.kind != .common {
            let range = max(0, position - context)..<min(edits.count, position + context + 1)
            if let last = ranges.last, range.lowerBound <= last.upperBound {
                ranges[ranges.count - 1] = last.lowerBound..<range.upperBound
            } else {
                ranges.append(range)
            }
        }
        return ranges
    }

    private mutating func append(_ edits: [Edit], _ range: Range<Int>) {
        guard let first = edits[range].first else { return }
        let oldCount = edits[range].count { $0.kind != .added }
        let newCount = edits[range].count { $0.kind != .removed }
        lines.append(.hunk("@@ -\(Self.place(first.old, oldCount)) +\(Self.place(first.new, newCount)) @@"))
        for edit in edits[range] {
            let isEnded = edit.text.last == UInt8(ascii: "\n")
            let text = String(decoding: isEnded ? edit.text.dropLast() : edit.text, as: UTF8.self)
            switch edit.kind {
            case .common: lines.append(.common(text))
            case .removed: lines.append(.removed(text))
            case .added: lines.append(.added(text))
            }
            if !isEnded { lines.append(.unended) }
        }
    }

    /// The first line of a hunk, from 1, and its length. An empty hunk is after the line that it names.
    private static func place(_ start: Int, _ count: Int) -> String {
        count == 1 ? "\(start + 1)" : "\(count == 0 ? start : start + 1),\(count)"
    }

    /// The output, with a line break after each line.
    ///
    /// - Parameter isColoured: whether the text is for a terminal: changes are coloured, and control characters of the
    ///   files replaced.
    package func text(isColoured: Bool) -> String {
        lines.map { line in
            var (mark, text, colour) =
                switch line {
                case .file(let text): ("", text, "1")
                case .hunk(let text): ("", text, "36")
                case .common(let text): (" ", text, "")
                case .removed(let text): ("-", text, "31")
                case .added(let text): ("+", text, "32")
                case .unended: ("\\", " No newline at end of file", "")
                }
            text = SecretLine.hidden(text)
            guard isColoured else { return mark + text + "\n" }
            let shown = String(String.UnicodeScalarView(text.unicodeScalars.map { Self.isHarmless($0) ? $0 : "?" }))
            return colour.isEmpty ? mark + shown + "\n" : "\u{1B}[\(colour)m\(mark)\(shown)\u{1B}[0m\n"
        }.joined()
    }

    private static func isHarmless(_ scalar: Unicode.Scalar) -> Bool {
        scalar == "\t" || scalar.properties.generalCategory != .control
    }
}

/// Lines of a configuration file with a secret value.
package enum SecretLine {
    private static let names = ["authorization", "token", "password", "secret", "cookie", "api-key", "api_key"]

    /// The line, with `"(secret)"` in place of the value of a key with a telling name.
    package static func hidden(_ line: String) -> String {
        let lower = line.lowercased()
        for name in names {
            guard let place = lower.firstRange(of: name), let equals = lower[place.upperBound...].firstIndex(of: "=")
            else { continue }
            let count = lower.distance(from: lower.startIndex, to: equals)
            return line.prefix(count) + "= \"(secret)\""
        }
        return line
    }
}
