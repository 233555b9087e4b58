import ArgumentParser

/// The visibility of flags that few users set. `--help` omits them, so that it fits a screen; `--help-hidden` lists them.
enum RareFlags {
    /// Whether they are as visible as the others, for texts that list all flags.
    @TaskLocal static var areShown = false
}

extension ArgumentVisibility {
    /// The visibility of ``RareFlags``.
    static var rare: ArgumentVisibility { RareFlags.areShown ? .default : .hidden }
}
