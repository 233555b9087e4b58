extension String {
    /// The text with trailing blanks up to a width in characters.
    func padded(_ width: Int) -> String {
        self + String(repeating: " ", count: max(0, width - count))
    }

    /// The text with leading blanks up to a width in characters.
    func paddedLeft(_ width: Int) -> String {
        String(repeating: " ", count: max(0, width - count)) + self
    }

    /// The text, ended by a line break.
    var withLineEnd: String { hasSuffix("\n") ? self : self + "\n" }
}
