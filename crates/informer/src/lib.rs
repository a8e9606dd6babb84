//! A shared informer: one watch, many handlers, each with a bounded mailbox.
