extension String {
    /// The text with blanks behind it up to a width, in characters.
    func padded(_ width: Int) -> String {
        self + String(repeating: " ", count: max(0, width - count))
    }

    /// The text with blanks before it up to a width.
    func paddedLeft(_ width: Int) -> String {
        String(repeating: " ", count: max(0, width - count)) + self
    }

    /// The text with one line end at its end.
    var withLineEnd: String { hasSuffix("\n") ? self : self + "\n" }
}
