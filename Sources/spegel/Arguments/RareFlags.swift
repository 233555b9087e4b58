import ArgumentParser

/// The flags that few set. `--help` leaves them out, so that it fits a screen; `--help-hidden` lists them too.
enum RareFlags {
    /// Whether they are treated like the others, where all flags are wanted.
    @TaskLocal static var areShown = false
}

extension ArgumentVisibility {
    /// That of ``RareFlags``.
    static var rare: ArgumentVisibility { RareFlags.areShown ? .default : .hidden }
}
