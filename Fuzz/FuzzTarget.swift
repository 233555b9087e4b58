/// A parser, and what to feed it with.
struct FuzzTarget: Sendable {
    /// A valid input.
    struct Sample: Sendable {
        /// The name of its file in the corpus.
        var name: String
        var bytes: [UInt8]
    }

    /// The name on the command line and of the folder in the corpus.
    var name: String
    /// The target gets one of this number of requested inputs: more than one if an input costs much more than parsing.
    var divisor = 1
    /// The longest input that mutation makes, in bytes.
    var maximumLength = 2048
    /// Pieces that mean something to the parser.
    var dictionary: [[UInt8]] = []
    /// Makes valid inputs as they stand in the committed corpus: the same ones each time, except for certificates.
    var samples: @Sendable () throws -> [Sample]
    /// Feeds the parser and checks what must hold of any input.
    ///
    /// - Returns: whether the input was taken as valid.
    var run: @Sendable ([UInt8]) -> Bool
}

extension FuzzTarget {
    /// A parser of text; bytes that are no UTF-8 reach it with replacement characters.
    static func text(
        _ name: String,
        dictionary: [String],
        samples: [String],
        run: @escaping @Sendable (String) -> Bool
    ) -> FuzzTarget {
        FuzzTarget(
            name: name,
            dictionary: dictionary.map { Array($0.utf8) },
            samples: {
                samples.enumerated().map { Sample(name: "\($0.offset).txt", bytes: Array($0.element.utf8)) }
            },
            run: { run(String(decoding: $0, as: UTF8.self)) }
        )
    }
}

/// Ends the program, which keeps the input, when what must hold does not.
func check(_ condition: Bool, _ meaning: @autoclosure () -> String) {
    guard condition else { fatalError("does not hold: \(meaning())") }
}
