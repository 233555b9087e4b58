/// Base58 in the Bitcoin alphabet (multibase `z`).
///
/// Input is bounded in both directions (160 bytes, 256 characters), because the conversion takes quadratic time.
public enum Base58 {
    private static let base = PositionalBase(
        name: "base58btc",
        alphabet: "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
    )

    /// The text for at most 160 bytes.
    ///
    /// - Throws: ``MultiformatsError/lengthOutOfBounds(what:length:limit:)`` for more.
    public static func encode(_ bytes: some Collection<UInt8>) throws(MultiformatsError) -> String {
        try base.encode(bytes)
    }

    /// The bytes of at most 256 characters of text.
    ///
    /// - Throws: ``MultiformatsError`` for text that is too long or has a character outside of the alphabet.
    public static func decode(_ text: some StringProtocol) throws(MultiformatsError) -> [UInt8] {
        try base.decode(text)
    }
}
