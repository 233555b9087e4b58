/// Base64 of RFC 4648 with the standard alphabet and padding.
public enum Base64 {
    private static let base = BitGroupBase(
        name: "base64",
        alphabet: "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
        width: 6
    )

    /// The text for `bytes`.
    public static func encode(_ bytes: some Collection<UInt8>) -> String {
        base.encode(bytes) + String(repeating: "=", count: (3 - bytes.count % 3) % 3)
    }
}
