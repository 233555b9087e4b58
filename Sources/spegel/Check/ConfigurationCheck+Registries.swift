import NodeConfiguration

extension ConfigurationCheck {
    /// The check of the configuration of podman, CRI-O, skopeo and buildah.
    ///
    /// - Parameters:
    ///   - registries: what these programs read; `nil` without a file of this program.
    ///   - isWritten: whether the file is what the command would write; `nil` if no mirrors were given.
    ///   - strangers: the mirrors of this machine where another program answers.
    init(
        registries: Result<RegistriesState?, Reason>,
        folder: String,
        isWritten: Bool?,
        strangers: [String],
        node: NodeFindings
    ) {
        var items = [Self.registries(registries, folder: folder, isWritten: isWritten)]
        if !strangers.isEmpty { items.append(Self.strangers(strangers)) }
        self.init(items: items + Self.items(node), subject: "podman and CRI-O are")
    }

    private static func registries(
        _ registries: Result<RegistriesState?, Reason>,
        folder: String,
        isWritten: Bool?
    ) -> Item {
        let name = "registries.conf"
        let path = folder + "/" + RegistriesConfiguration.fileName
        let advice = "Run 'spegel configuration --format registries.conf' without --check."
        func problem(_ found: String, _ change: String...) -> Item {
            Item(name: name, status: .problem, found: found, change: change)
        }
        let state: RegistriesState?
        switch registries {
        case .success(let found): state = found
        case .failure(let reason):
            return problem(Plain.text(reason.text), "Repair the file: podman and CRI-O pull nothing with it.")
        }
        guard let state else { return problem("no \(path)", advice) }
        guard state.replaced.isEmpty else {
            return problem(
                "a file in \(folder) that is read later replaces the mirrors of \(Plain.text(state.replaced.joined(separator: ", ")))",
                "Rename that file, so that \(RegistriesConfiguration.fileName) is the last one, and run the command again."
            )
        }
        guard !state.isEdited else {
            return problem("\(path) was edited", "Move the edits to another file. " + advice)
        }
        guard isWritten != false else { return problem("\(path) is not what the command would write", advice) }
        let mirrored = Plain.text(state.mirrored.joined(separator: ", "))
        return Item(name: name, status: .good, found: "mirrors for \(mirrored)")
    }
}
