import Time

/// How long and how often a transfer tries peers. Sizes are in bytes.
package struct TransferLimits: Hashable, Sendable {
    package var lookup = LookupLimits()
    package var retries = RetryLimits()
    package var connectTimeout = Duration.milliseconds(200)
    /// How long a peer may take to its response head.
    package var headTimeout = Duration.seconds(2)
    /// The same for a peer that timed out moments ago.
    package var hurriedHeadTimeout = Duration.milliseconds(500)
    /// The same for a peer that verifies its content first: long enough to read some gigabytes.
    package var checkTimeout = Duration.seconds(10)
    /// How long a peer may send nothing in the middle of a body while the client takes bytes.
    package var progressTimeout = Duration.seconds(2)
    /// When hedged requests are sent, and how many; see ``Hedging``.
    package var hedgeDelay = Duration.milliseconds(250)
    package var hedges = 6
    /// The largest content that is held until its digest was verified.
    package var checkedSize: Int64 = 8 << 20
    /// The smallest rest of a body that the kernel moves.
    package var splicedSize: Int64 = 256 << 10
    /// Whether a download rate limits how fast bytes are read from peers.
    package var isPaced = false

    package init() {}
}

/// How long a transfer looks for providers.
package struct LookupLimits: Hashable, Sendable {
    /// How long the first provider may take to be found, from when the lookup starts.
    package var resolveTimeout = Duration.milliseconds(20)
    /// How long a lookup may go on to find more providers after the first.
    package var timeout = Duration.seconds(1)
    /// How long a lookup is put off while a peer that gave a range moments ago is asked.
    package var delay = Duration.milliseconds(50)

    package init() {}
}

/// How many peers a transfer asks, and how often.
package struct RetryLimits: Hashable, Sendable {
    /// The retry budget; see ``RetryBudget``.
    package var providers = 3
    /// How many providers are kept to be asked, each once, if those before them fail.
    package var candidates = 16
    /// How long peers that fail are replaced without a count.
    package var spareTime = Duration.seconds(5)
    /// How many addresses of each peer are tried.
    package var addressesPerPeer = 4
    /// How long busy and slow peers are asked again, from the start of the transfer.
    package var busyTimeout = Duration.seconds(30)
    /// How often a slow peer is asked again, in one transfer.
    package var slowRetries = 2
    /// How long a busy or slow peer is left alone before it is asked again.
    package var backoff = Duration.milliseconds(500)

    package init() {}
}
