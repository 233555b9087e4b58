import Mirroring

/// What is verified, and how long answers wait for that.
public struct CheckSettings: Hashable, Sendable {
    /// When large content of other nodes is hashed on its way.
    public var verification = VerificationMode.auto
    /// Content up to this size waits until its digest was verified, so that a wrong copy costs a try at the next peer.
    public var checkedSize = TransferLimits().checkedSize
    /// How many bytes all transfers together may hold for that. Above it, only the last chunk of content waits.
    public var verificationBudget = 32 << 20

    /// How long an answer waits for the check of content of this node before anything is sent.
    public var checkTimeout: Duration = .milliseconds(1500)
    /// How long it waits where another node asks for checked content only.
    public var demandedCheckTimeout: Duration = .seconds(10)
    /// How long the end of content waits for its check, which goes on while the rest is sent.
    public var tailTimeout: Duration = .seconds(1)
}

/// When large content of other nodes is hashed on its way.
public enum VerificationMode: String, Sendable, CaseIterable {
    /// When there is reason to: a client repeats a request, or a peer has sent wrong bytes before.
    case auto
    /// Whenever all of it comes by.
    case always
}
