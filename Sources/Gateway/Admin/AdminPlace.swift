import Glibc

/// Where a gateway may be reached by commands, as far as its file does not say it: by the name of the file, in a folder of the machine.
package struct AdminPlace: Sendable {
  var names: [AdminName]
  var folders: [RunDirectory]
  /// Of the program, for those who ask what runs.
  var version: String

  /// - Parameters:
  ///   - file: the path of the configuration, from the root on.
  ///   - name: as it is named in the working directory; nil where that is not known to lead there any more.
  ///   - environment: of the process.
  ///   - version: of the program.
  package init(of file: String, namedAs name: String?, environment: [String: String], version: String) {
    self.init(
      names: AdminName.names(of: file, also: name),
      folders: RunDirectory.all(environment: environment, user: geteuid()),
      version: version)
  }

  init(names: [AdminName], folders: [RunDirectory], version: String) {
    self.names = names
    self.folders = folders
    self.version = version
  }
}
