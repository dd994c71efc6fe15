"""Where jobs run. Each kind of place is a package here that implements `sweeptui.core.dispatch.Dispatcher`."""
