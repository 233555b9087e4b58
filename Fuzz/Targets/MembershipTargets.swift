import Membership

extension FuzzTarget {
    /// Cluster keys, and the proofs of requests and answers.
    static let membership: [FuzzTarget] = [
        .text(
            "cluster-key-file",
            dictionary: ["\n", "\r\n", "=", "==", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="],
            samples: [
                "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n",
                "\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\r\n  __ECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n",
            ]
        ) { text in
            guard let keys = try? ClusterKeyFile.parse(Array(text.utf8)) else { return false }
            check(keys.all.count <= ClusterKeys.maximumCount, "the number of keys is bounded")
            return true
        },
        .text(
            "content-proof",
            dictionary: ["v1 ", " ", "12D3KooW", "0123456789abcdef", "9223372036854775807", "-1"],
            samples: [
                "v1 1764590000 0123456789abcdef 12D3KooWBhv97FCyMYTFwuiUcdE2wXzGQJwBYGcAZF5VUT8g5eC3 "
                    + "97KQ9LFFWG-SKvyyifGGS5sADf0iKQ-z2r5I_mkSy0k"
            ]
        ) { text in
            guard let key = ClusterKey(secret: [UInt8](repeating: 7, count: 32))?.content else {
                fatalError("the fixed key is invalid")
            }
            let answer = ProvenAnswer(status: 200, digest: text, mediaType: nil, length: 1)
            let request = ProvenRequest(method: "GET", target: text, range: nil, wantsCheck: false, holder: "holder")
            let own = RequestProof(of: request, by: "node", with: key, time: 0, nonce: 0)
            check(!AnswerProof.isValid(text, of: answer, to: own, with: key), "text proves no answer")
            guard let proof = RequestProof(headerValue: text) else { return false }
            check(RequestProof(headerValue: proof.headerValue) == proof, "a proof parses from its own text")
            check((try? proof.key(of: request, among: [key], now: proof.time)) == nil, "text proves no request")
            return true
        },
    ]
}
