/// Base32 of RFC 4648 with lower-case letters and without padding (multibase `b`).
public enum Base32 {
    private static let base = BitGroupBase(name: "base32", alphabet: "abcdefghijklmnopqrstuvwxyz234567", width: 5)

    /// The text for `bytes`.
    public static func encode(_ bytes: some Sequence<UInt8>) -> String {
        base.encode(bytes)
    }

    /// The bytes of `text`.
    ///
    /// - Throws: ``MultiformatsError`` for a character outside of the alphabet or left-over bits.
    public static func decode(_ text: some StringProtocol) throws(MultiformatsError) -> [UInt8] {
        try base.decode(text)
    }
}
