import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { CircleAlert, CircleCheck, History, Info, SearchX, TriangleAlert } from "lucide-react";

import { ConversationLink } from "@/layout/conversation-link";
import { Page } from "@/layout/page";
import { Pager } from "@/layout/pager";
import { EmptyState, ErrorState, LoadingState } from "@/layout/states";
import { defined, oneOf } from "@/lib/search";
import { useFormat } from "@/session/company";
import { useTexts } from "@/texts";
import { Button } from "@/ui/button";
import { Field } from "@/ui/field";
import { Input, Select } from "@/ui/input";

import { type Activity, activitiesQuery } from "./queries";
import { activitiesRoute } from "./route";
import { type ActivitiesSearch, filtersOf } from "./search";
import { ALL_TYPES, GROUPS, STATUSES, TYPES } from "./types";

export function ActivitiesPage() {
  const { activities, common } = useTexts("activities");
  const search = activitiesRoute.useSearch();
  const list = useQuery(activitiesQuery(search));
  const isEmpty = list.data?.data.length === 0;
  const isFiltered = Object.keys(filtersOf(search)).length > 0;
  return (
    <Page title={activities.title} lead={activities.lead}>
      <Filters />
      {list.isPending && <LoadingState />}
      {list.isError && <ErrorState error={list.error} onRetry={() => void list.refetch()} />}
      {isEmpty && isFiltered && (
        <EmptyState
          icon={SearchX}
          title={common.noMatch}
          action={
            <Button variant="outline" asChild>
              <Link to="/activities">{common.clearFilters}</Link>
            </Button>
          }
        />
      )}
      {isEmpty && !isFiltered && (
        <EmptyState icon={History} title={activities.empty}>
          <p>{activities.emptyHint}</p>
        </EmptyState>
      )}
      {list.data && !isEmpty && (
        <>
          <ul aria-label={activities.title} aria-busy={list.isPlaceholderData} className="divide-y rounded-lg border bg-card">
            {list.data.data.map((activity) => (
              <ActivityRow key={activity.id} activity={activity} />
            ))}
          </ul>
          <Pager meta={list.data.meta} />
        </>
      )}
    </Page>
  );
}

function Filters() {
  const { activities, common } = useTexts("activities");
  const search = activitiesRoute.useSearch();
  const navigate = useNavigate({ from: "/activities" });
  const change = (patch: { [K in keyof ActivitiesSearch]: ActivitiesSearch[K] | undefined }) =>
    void navigate({ search: (previous) => defined({ ...previous, page: undefined, ...patch }), replace: true });
  return (
    <div className="grid grid-cols-2 items-end gap-3 sm:grid-cols-[minmax(0,1fr)_12rem_11rem]">
      <Field label={activities.type} className="col-span-2 sm:col-span-1">
        {(control) => (
          <Select {...control} value={search.type ?? ""} onChange={(event) => change({ type: oneOf(event.target.value, ALL_TYPES) })}>
            <option value="">{activities.allTypes}</option>
            {GROUPS.map((group) => (
              <optgroup key={group} label={activities.groups[group]}>
                {TYPES[group].map((type) => (
                  <option key={type} value={type}>
                    {activities.types[type]}
                  </option>
                ))}
              </optgroup>
            ))}
          </Select>
        )}
      </Field>
      <Field label={activities.status}>
        {(control) => (
          <Select {...control} value={search.status ?? ""} onChange={(event) => change({ status: oneOf(event.target.value, STATUSES) })}>
            <option value="">{common.allStatuses}</option>
            {STATUSES.map((status) => (
              <option key={status} value={status}>
                {activities.statuses[status]}
              </option>
            ))}
          </Select>
        )}
      </Field>
      <Field label={activities.since}>
        {(control) => (
          <Input
            {...control}
            type="date"
            value={search.since ?? ""}
            onChange={(event) => change({ since: event.target.value === "" ? undefined : event.target.value })}
          />
        )}
      </Field>
    </div>
  );
}

const ICONS = {
  info: { Icon: Info, color: "text-muted-foreground" },
  success: { Icon: CircleCheck, color: "text-success" },
  warning: { Icon: TriangleAlert, color: "text-warning" },
  error: { Icon: CircleAlert, color: "text-destructive" },
} as const;

function ActivityRow({ activity }: { activity: Activity }) {
  const { activities } = useTexts("activities");
  const format = useFormat();
  const status = oneOf(activity.status, STATUSES) ?? "info";
  const { Icon, color } = ICONS[status];
  const type = oneOf(activity.type, ALL_TYPES);
  return (
    <li className="flex items-start gap-3 px-4 py-3 text-sm">
      <Icon role="img" aria-label={activities.statuses[status]} className={`mt-0.5 size-4 shrink-0 ${color}`} />
      <div className="min-w-0 flex-1">
        <p className="font-medium [overflow-wrap:anywhere]">{type === undefined ? activity.title : activities.types[type]}</p>
        {activity.description !== null && <p className="text-muted-foreground [overflow-wrap:anywhere]">{activity.description}</p>}
        <Links activity={activity} />
      </div>
      <time dateTime={activity.created_at} title={format.dateTime(activity.created_at)} className="shrink-0 text-muted-foreground">
        {format.short(activity.created_at)}
      </time>
    </li>
  );
}

const LINK = "text-primary underline underline-offset-4";

/** Leads to what the activity is about. An order that was deleted has no page. */
function Links({ activity }: { activity: Activity }) {
  const { activities } = useTexts("activities");
  const order = (activity.metadata as { order_id?: unknown }).order_id;
  const hasOrder = typeof order === "string" && activity.type !== "order_deleted";
  if (!hasOrder && activity.conversation_id === null) return null;
  return (
    <p className="mt-1 flex flex-wrap gap-x-4 gap-y-1">
      {hasOrder && (
        <Link to="/orders/$orderId" params={{ orderId: order }} className={LINK}>
          {activities.order(order.slice(0, 8).toUpperCase())}
        </Link>
      )}
      {activity.conversation_id !== null && (
        <ConversationLink id={activity.conversation_id} className={LINK}>
          {activities.conversation}
        </ConversationLink>
      )}
    </p>
  );
}
