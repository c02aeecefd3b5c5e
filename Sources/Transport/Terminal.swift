import CLinux
import Glibc

package enum Terminal {
  /// How many columns a terminal has now; nil where that is not known.
  package static func width(_ descriptor: Int32) -> Int? {
    let columns = Int(terminal_width(descriptor))
    return columns > 0 ? columns : nil
  }
}
