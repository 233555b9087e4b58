/// Base64 of RFC 4648 with the URL-safe alphabet and without padding (multibase `u`).
public enum Base64URL {
    private static let base = BitGroupBase(
        name: "base64url",
        alphabet: "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
        width: 6
    )

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
