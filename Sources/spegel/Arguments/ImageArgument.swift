import ArgumentParser
import OCI

/// An image on the command line.
struct ImageArgument: ExpressibleByArgument, Hashable, CustomStringConvertible {
    let reference: Reference

    init?(argument: String) {
        guard case .image(let reference)? = try? ImageName(argument) else { return nil }
        self.reference = reference
    }

    var description: String { "\(reference)" }
}

extension Platform: ExpressibleByArgument {
    init?(argument: String) { self.init(argument) }
}
