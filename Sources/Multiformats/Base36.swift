/// Base36 with lower-case letters (multibase `k`).
///
/// Text is bounded, because the conversion takes quadratic time.
public enum Base36 {
    private static let base = PositionalBase(name: "base36", alphabet: "0123456789abcdefghijklmnopqrstuvwxyz")

    /// The bytes of at most 256 characters of text.
    ///
    /// - Throws: ``MultiformatsError`` for text that is too long or has a character outside of the alphabet.
    public static func decode(_ text: some StringProtocol) throws(MultiformatsError) -> [UInt8] {
        try base.decode(text)
    }
}
