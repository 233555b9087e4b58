import Logging
import Membership
import NIOCore
import ServiceLifecycle
import Synchronization

/// The credentials that the registry demands of clients and sends to other nodes. As a service it follows the folder
/// that they come from, so that a secret can change while the node runs.
public final class BasicAuthentication: Service {
    /// How often the folder is read.
    private static let interval = Duration.seconds(5)

    private let folder: CredentialFolder
    private let logger: Logger
    private let rotation: Mutex<CredentialRotation>
    /// The keys of proofs by the passwords that are in use, made when a password is read, since that takes long.
    private let keys: Mutex<[Credentials: ContentKey]>
    /// What was wrong with the folder at the last reading.
    private let failure = Mutex<CredentialFolder.Failure?>(nil)

    /// Reads the folder.
    ///
    /// - Throws: a ``CredentialFolder/Failure`` that says what is wrong with the folder.
    public init(folder: CredentialFolder, logger: Logger) throws {
        self.folder = folder
        self.logger = logger
        let (credentials, endsInLineBreak) = try folder.read()
        rotation = Mutex(CredentialRotation(credentials))
        keys = Mutex([credentials: credentials.makeProofKey()])
        if endsInLineBreak { warnOfLineBreak() }
    }

    /// Whether a request with this `Authorization` header may be answered.
    public func accepts(_ header: String?) -> Bool {
        rotation.withLock { $0.accepts(header, now: .now()) }
    }

    /// The `Authorization` header for requests to other nodes.
    public var headerForPeers: String {
        rotation.withLock { $0.sent(now: .now()).header }
    }

    /// The key with which this node proves its requests to other nodes, and those that it accepts.
    var proofKeys: (sent: ContentKey, accepted: [ContentKey]) {
        let (sent, accepted) = rotation.withLock { ($0.sent(now: .now()), $0.accepted(now: .now())) }
        let keys = keys.withLock { $0 }
        return (keys[sent] ?? sent.makeProofKey(), accepted.map { keys[$0] ?? $0.makeProofKey() })
    }

    /// Reads the folder again. While that fails, the current credentials stay.
    func reload(now: NIODeadline = .now()) {
        do {
            let (credentials, endsInLineBreak) = try folder.read()
            failure.withLock { $0 = nil }
            let previous = rotation.withLock { $0.current }
            guard credentials != previous else { return }
            let known = keys.withLock { $0 }
            let pair = [credentials, previous].map { ($0, known[$0] ?? $0.makeProofKey()) }
            keys.withLock { $0 = Dictionary(uniqueKeysWithValues: pair) }
            guard rotation.withLock({ $0.change(to: credentials, now: now) }) else { return }
            logger.info(
                "credentials changed: the previous ones are still accepted for a while",
                metadata: [
                    "folder": "\(folder.path)",
                    "seconds": .stringConvertible(CredentialRotation.accepting.nanoseconds / 1_000_000_000),
                ]
            )
            if endsInLineBreak { warnOfLineBreak() }
        } catch {
            let isNew = failure.withLock { failure in
                defer { failure = error }
                return failure != error
            }
            guard isNew else { return }
            logger.warning(
                "credentials unreadable: keeping the current ones",
                metadata: ["error": "\(error)"]
            )
        }
    }

    /// Follows the folder until the service shuts down.
    public func run() async throws {
        try? await cancelWhenGracefulShutdown {
            while true {
                try await Task.sleep(for: Self.interval)
                self.reload()
            }
        }
    }

    private func warnOfLineBreak() {
        logger.warning(
            "user name or password ends in a line break, which counts as part of it",
            metadata: ["folder": "\(folder.path)"]
        )
    }
}
