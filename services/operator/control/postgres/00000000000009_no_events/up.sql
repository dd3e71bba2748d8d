-- Steps of a request, which nothing read: what became of it is in intervention_history and in the trail.
DROP TABLE intervention_events;
