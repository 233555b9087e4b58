import Crypto
internal import FoundationEssentials
import Multiformats

/// The proof of the answer to one request for a tag: a header field's value, `v1 CODE`.
///
/// The code is an HMAC of the answer and of the request's own code. So it is valid for this request alone, which only its
/// holder was asked.
public enum AnswerProof {
    private static let prefix = "v1 "
    private static let maximumLength = 64

    /// The header field's value for an answer.
    public static func headerValue(of answer: ProvenAnswer, to request: RequestProof, with key: ContentKey) -> String {
        let code = HMAC<SHA256>.authenticationCode(for: input(answer, request), using: key.answers)
        return prefix + Base64URL.encode(Array(code))
    }

    /// Whether a header field's value proves an answer.
    public static func isValid(
        _ text: String?,
        of answer: ProvenAnswer,
        to request: RequestProof,
        with key: ContentKey
    ) -> Bool {
        guard let text, text.utf8.count <= maximumLength, text.hasPrefix(prefix),
            let code = try? Base64URL.decode(text.dropFirst(prefix.count))
        else { return false }
        return HMAC<SHA256>.isValidAuthenticationCode(
            code,
            authenticating: input(answer, request),
            using: key.answers
        )
    }

    private static func input(_ answer: ProvenAnswer, _ request: RequestProof) -> [UInt8] {
        var input = ProofInput("spegel content answer 1")
        input.add(request.code)
        input.add(UInt64(bitPattern: Int64(answer.status)))
        input.add(optional: answer.digest)
        input.add(optional: answer.mediaType)
        input.add(optional: answer.length.map { String($0) })
        return input.bytes
    }
}
