"""Sign-ins that live on a connection, by pyspnego: Kerberos, NTLM, integrated Windows. Nothing else knows that package."""
