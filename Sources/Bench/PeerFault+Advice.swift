package import NetworkFaults

extension PeerFault {
  /// What went wrong, and which options of a command accept the certificate all the same.
  package var sentence: String {
    isAboutTrust ? "\(description) (--cacert names one to trust, --insecure trusts any)" : description
  }
}
