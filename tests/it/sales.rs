//! Sales and traffic: against naive recomputations, in every zone and group.
